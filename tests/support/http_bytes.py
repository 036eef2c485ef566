"""HTTP/1.1 as bytes: requests that are written by hand, and all that is answered."""

import socket

from tests.support.http_edge import Edge

BODY = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
CLOSE = b"connection: close\r\n"
HEAD = b"authorization: Bearer tk_acme\r\nhost: x\r\n"
CONVERSE = b"/model/amazon.nova-micro-v1%3A0/converse"


def connect(edge: Edge) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", edge.port), timeout=20)
    client.settimeout(20)
    return client


def converse(body: bytes = BODY, more: bytes = b"", stream: bool = False) -> bytes:
    path = CONVERSE + (b"-stream" if stream else b"")
    length = b"content-length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + HEAD + length + more + b"\r\n" + body


def read_all(client: socket.socket) -> bytes:
    """All bytes until the server closes."""
    data = b""
    while piece := client.recv(65_536):
        data += piece
    return data


def talk(edge: Edge, data: bytes) -> bytes:
    with connect(edge) as client:
        client.sendall(data)
        return read_all(client)


def chunked(body: bytes, trailer: bytes = b"", coding: bytes = b"chunked") -> bytes:
    head = b"POST " + CONVERSE + b" HTTP/1.1\r\n" + HEAD + CLOSE
    framing = b"transfer-encoding: " + coding + b"\r\n\r\n"
    return head + framing + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailer)
