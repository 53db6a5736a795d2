"""A forward proxy for tests: answers CONNECT, leads every tunnel to one address, and notes each CONNECT in a file.

usage: connect_proxy.py [--port N] [--refuse STATUS] [--credentials USER:PASSWORD] NOTES TARGET_PORT

Prints the port it listens on. A line of NOTES is a host and port, and the status that was answered.
"""

import argparse
import base64
import socket
import threading

REASONS = {200: "Connection established", 403: "Forbidden", 407: "Proxy Authentication Required"}


def carry(source, sink):
    """Carries bytes one way until either side ends."""
    try:
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def read_head(client):
    """The request line and the headers, in lower case but for their values."""
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = client.recv(65536)
        if not chunk:
            return None, {}
        head += chunk
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return first, {name.lower(): value for name, value in headers.items()}


def judge(asked, headers):
    """The status that a CONNECT is answered with."""
    if asked.refuse:
        return asked.refuse
    if asked.credentials:
        expected = "Basic " + base64.b64encode(asked.credentials.encode()).decode()
        if headers.get("proxy-authorization") != expected:
            return 407
    return 200


def attend(client, asked):
    """One connection, start to end."""
    with client:
        first, headers = read_head(client)
        if first is None:
            return
        method, place, _ = first.split(" ")
        status = judge(asked, headers) if method == "CONNECT" else 400
        with open(asked.notes, "a", encoding="ascii") as notes:
            notes.write(f"{place} {status}\n")
        client.sendall(f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\n\r\n".encode())
        if status != 200:
            return
        with socket.create_connection(("127.0.0.1", asked.target_port)) as target:
            back = threading.Thread(target=carry, args=(target, client), daemon=True)
            back.start()
            carry(client, target)
            back.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--refuse", type=int)
    parser.add_argument("--credentials")
    parser.add_argument("notes")
    parser.add_argument("target_port", type=int)
    asked = parser.parse_args()
    with socket.create_server(("127.0.0.1", asked.port), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=attend, args=(client, asked), daemon=True).start()


main()
