#!/usr/bin/env python3
"""An https server on 127.0.0.1 in front of an http one: passes bytes on, both ways, until its standard input ends.

    https_front.py FOLDER PORT

PORT is the http server's. FOLDER gets certificate.pem, made by openssl, and port, written once connections are taken.
"""
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

folder, http_port = Path(sys.argv[1]), int(sys.argv[2])
certificate, key = folder / "certificate.pem", folder / "key.pem"
subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def serve(client):
    """One request: its head to the http server, then what that answers, until it closes."""
    try:
        with context.wrap_socket(client, server_side=True) as secure, socket.create_connection(("127.0.0.1", http_port)) as server:
            head = b""
            while b"\r\n\r\n" not in head and (more := secure.recv(4096)):
                head += more
            server.sendall(head)
            while more := server.recv(65536):
                secure.sendall(more)
    except OSError:  # a client that does not trust the certificate, or has enough
        pass


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, daemon=True).start()
(folder / "port.new").write_text(str(listener.getsockname()[1]))
(folder / "port.new").rename(folder / "port")
sys.stdin.read()
