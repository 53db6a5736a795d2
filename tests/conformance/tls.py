"""TLS in front of a plain port on loopback, with a certificate made for the occasion, for clients that want HTTPS."""

import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]


class Authority:
    """A certificate authority for one run of the suite, and a certificate of its making for 127.0.0.1."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.certificate = self.path("authority.pem")
        self.make(self.certificate, "authority.key", "/CN=conformance authority")
        by_us = ["-CA", self.certificate, "-CAkey", self.path("authority.key")]
        leaf = ["-addext", "basicConstraints=CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"]
        self.make(self.path("leaf.pem"), "leaf.key", "/CN=127.0.0.1", *by_us, *leaf)
        self.trust = self.trusting_folder()

    def path(self, name):
        """Where a file of the authority lies."""
        return str(pathlib.Path(self.folder.name, name))

    def make(self, certificate, key, subject, *more):
        """Makes a key and a certificate."""
        command = ["openssl", "req", "-x509", *KEY, "-keyout", self.path(key), "-out", certificate, "-subj", subject]
        subprocess.run([*command, *more], check=True, capture_output=True)

    def trusting_folder(self):
        """A folder whose module `certifi` names this authority, as a machine that trusts it would have."""
        folder = pathlib.Path(self.path("trust"))
        folder.mkdir()
        folder.joinpath("certifi.py").write_text(f"def where():\n    return {self.certificate!r}\n")
        return str(folder)

    def server_side(self):
        """What a server needs to speak TLS."""
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(self.path("leaf.pem"), self.path("leaf.key"))
        return server_side

    def close(self):
        """Forgets the keys."""
        self.folder.cleanup()


class Front:
    """Listens with TLS and hands every byte on to a plain port, and back."""

    def __init__(self, authority, port):
        self.target = ("127.0.0.1", port)
        self.server_side = authority.server_side()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        """Takes connections until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.attend, args=[connection], daemon=True).start()

    def attend(self, connection):
        """Serves one connection; a caller that does not trust the certificate is gone already."""
        try:
            outside = self.server_side.wrap_socket(connection, server_side=True)
        except (ssl.SSLError, OSError):
            connection.close()
            return
        inside = socket.create_connection(self.target)
        threading.Thread(target=hand_on, args=[outside, inside], daemon=True).start()
        hand_on(inside, outside)

    def close(self):
        """Takes no more connections."""
        self.listener.close()


def hand_on(source, target):
    """Copies bytes until one side ends, and then ends the other."""
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
