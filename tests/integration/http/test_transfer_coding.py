"""A coding that two readers could take for different ones makes two requests of one."""

from __future__ import annotations

import socket

import pytest
from tests.support.http2_client import BODY, CONVERSE
from tests.support.http_edge import Edge

OFFER = b"connection: upgrade\r\nupgrade: h2c\r\n"
LINE = b"POST " + CONVERSE.encode() + b" HTTP/1.1\r\nhost: x\r\nauthorization: Bearer tk_acme\r\n"
BEHIND = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer tk_bolt\r\n\r\n"


def talk(edge: Edge, request: bytes) -> bytes:
    """All that is said until the server closes, or nothing is left to be said."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        data = b""
        while piece := client.recv(65_536):
            data += piece
        return data


def chunked(coding: bytes, offer: bytes) -> bytes:
    framing = b"transfer-encoding: " + coding + b"\r\n\r\n"
    return LINE + offer + framing + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize("offer", [b"", OFFER], ids=["plain", "offer"])
@pytest.mark.parametrize(
    "coding",
    [
        b"\xa0chunked", b"chunked\xa0", b"\x85chunked", b"chunked\x85", b"x\xa0chunked",
        b"\x0bchunked", b"chunked\x1f", b"chunked;a=b", b"chunked,", b"", b"chunked\t",
    ],
)  # fmt: skip
def test_a_transfer_coding_is_read_as_it_came(edge: Edge, coding: bytes, offer: bytes) -> None:
    """Where another reader takes no chunks, what is behind them is no request of ours."""
    answer = talk(edge, chunked(coding, offer) + BEHIND)
    assert answer.startswith(b"HTTP/1.1 400") and b"\nHTTP/1.1" not in answer
    assert edge.requests == []


@pytest.mark.parametrize("offer", [b"", OFFER], ids=["plain", "offer"])
@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"\t chunked"])
def test_chunks_are_read_and_what_is_behind_them_too(
    edge: Edge, coding: bytes, offer: bytes
) -> None:
    answer = talk(edge, chunked(coding, offer) + BEHIND)
    assert answer.startswith(b"HTTP/1.1 200") and answer.count(b"\nHTTP/1.1 200") in (0, 1)
    assert edge.requests[0] == ("POST", CONVERSE)
