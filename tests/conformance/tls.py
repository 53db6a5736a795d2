"""A TLS server in front of a plain port on loopback, with its own certificate, for clients that need HTTPS."""

import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]


class Authority:
    """A certificate authority for one run of the suite, and a certificate for 127.0.0.1."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.certificate = self.path("authority.pem")
        self.create(self.certificate, "authority.key", "/CN=conformance authority")
        signed = ["-CA", self.certificate, "-CAkey", self.path("authority.key")]
        leaf = ["-addext", "basicConstraints=CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"]
        self.create(self.path("leaf.pem"), "leaf.key", "/CN=127.0.0.1", *signed, *leaf)
        self.trust = self.trusting_folder()

    def path(self, name):
        """The path of a file of the authority."""
        return str(pathlib.Path(self.folder.name, name))

    def create(self, certificate, key, subject, *more):
        """Creates a key and a certificate."""
        command = ["openssl", "req", "-x509", *KEY, "-keyout", self.path(key), "-out", certificate, "-subj", subject]
        subprocess.run([*command, *more], check=True, capture_output=True)

    def trusting_folder(self):
        """A folder whose module `certifi` names this authority."""
        folder = pathlib.Path(self.path("trust"))
        folder.mkdir()
        folder.joinpath("certifi.py").write_text(f"def where():\n    return {self.certificate!r}\n")
        return str(folder)

    def server_side(self):
        """The TLS settings of a server."""
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(self.path("leaf.pem"), self.path("leaf.key"))
        return server_side

    def close(self):
        """Removes the keys."""
        self.folder.cleanup()


class Front:
    """Listens with TLS and forwards every byte to a plain port, and back."""

    def __init__(self, authority, port):
        self.target = ("127.0.0.1", port)
        self.server_side = authority.server_side()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        """Accepts connections until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        """Serves one connection, unless the client does not trust the certificate."""
        try:
            outside = self.server_side.wrap_socket(connection, server_side=True)
        except (ssl.SSLError, OSError):
            connection.close()
            return
        inside = socket.create_connection(self.target)
        threading.Thread(target=forward, args=[outside, inside], daemon=True).start()
        forward(inside, outside)

    def close(self):
        """Accepts no more connections."""
        self.listener.close()


def forward(source, target):
    """Copies bytes until one side closes, then closes the other."""
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
