"""What a connection holds while it reads, without a socket."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import cast

import pytest

from tenantry.entrypoints.http.wire.connection import Application, Connection
from tenantry.entrypoints.http.wire.exchange import Exchange
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.request import Request

HEAD = b"POST /v1/search HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"

GET = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"


class Served:
    """An application that keeps the bodies it was given."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def serve(self, request: Request, exchange: Exchange) -> None:
        self.bodies.append(request.body)
        exchange.respond(200, {}, b"")

    def refuse(self, status: int, message: str, raw_path: str, exchange: Exchange) -> None:
        exchange.respond(status, {}, message.encode())


class Listener:
    """What the connections of one listener share."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.limits = WireLimits()
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.held_bytes = 0
        self.finishing = False
        self.ended = asyncio.Event()


class Wire:
    """A transport to a client that takes everything at once."""

    def __init__(self) -> None:
        self.written = b""
        self.reading = True
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


async def read(pieces: list[bytes]) -> tuple[list[bytes], int]:
    """The bodies that were served, and the most memory that reading them took."""
    served = Served()
    listener = Listener(served)
    connection = Connection(listener)
    connection.connection_made(cast(asyncio.Transport, Wire()))
    tracemalloc.start()
    try:
        for piece in pieces:
            connection.data_received(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    await asyncio.gather(*listener.tasks)
    connection.connection_lost(None)
    assert listener.held_bytes == 0
    return served.bodies, peak


def test_a_body_in_tiny_chunks_takes_little_more_than_its_size() -> None:
    """Anybody may send one: nothing is known of a client before its body is read."""
    body = bytes(range(256)) * 800
    chunks = [b"2\r\n%b\r\n" % body[at : at + 2] for at in range(0, len(body), 2)]
    bodies, peak = asyncio.run(read([HEAD, *chunks, b"0\r\n\r\n"]))
    assert bodies == [body]
    assert peak < 4 * len(body)


def test_a_body_in_one_piece_is_not_copied() -> None:
    body = bytes(1_000_000)
    head = HEAD.replace(b"transfer-encoding: chunked", b"content-length: 1000000")
    bodies, peak = asyncio.run(read([head, body]))
    assert bodies == [body]
    assert peak < 1.5 * len(body)


async def turns() -> None:
    """Until nothing is left to run."""
    for _ in range(200):
        await asyncio.sleep(0)


def begun() -> tuple[Served, Connection, Wire]:
    served, wire = Served(), Wire()
    connection = Connection(Listener(served))
    connection.connection_made(cast(asyncio.Transport, wire))
    return served, connection, wire


def test_nothing_is_answered_to_who_does_not_read() -> None:
    """Answers would pile up in memory, 17 KB for each 40 bytes of a public route."""

    async def run() -> None:
        served, connection, wire = begun()
        connection.data_received(GET)
        await turns()
        connection.pause_writing()
        for _ in range(3):
            connection.data_received(GET)
        await turns()
        assert len(served.bodies) == 1 and not wire.reading
        connection.resume_writing()
        await turns()
        assert len(served.bodies) == 4 and wire.reading

    asyncio.run(run())


def test_requests_of_a_connection_that_wait_are_bounded() -> None:
    async def run() -> None:
        served, connection, wire = begun()
        connection.data_received(GET * 1_000)
        await turns()
        assert 2 <= len(served.bodies) <= WireLimits().waiting + 1
        assert b"HTTP/1.1 503" in wire.written and wire.closed and not wire.reading

    asyncio.run(run())


async def answered(request: bytes) -> tuple[list[bytes], bytes]:
    """The bodies that were served, and what the client was told."""
    served, connection, wire = begun()
    connection.data_received(request)
    await turns()
    return served.bodies, wire.written


def test_http_1_0_is_not_told_to_go_on() -> None:
    """Its clients know no answer before the answer (RFC 9110 §10.1.1)."""
    head = b"POST /v1/search HTTP/1.%d\r\nhost: x\r\nexpect: 100-continue\r\n"
    rest = b"content-length: 2\r\n\r\n{}"
    for minor, told in ((0, b"HTTP/1.1 200"), (1, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")):
        bodies, written = asyncio.run(answered(head % minor + rest))
        assert bodies == [b"{}"] and written.startswith(told)


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/3.0", b""])
@pytest.mark.parametrize("more", [b"", b"connection: upgrade\r\nupgrade: h2c\r\n"])
def test_another_version_of_http_is_refused(version: bytes, more: bytes) -> None:
    line = b"POST /v1/search " + version
    request = line.strip() + b"\r\nhost: x\r\n" + more + b"content-length: 2\r\n\r\n{}"
    bodies, written = asyncio.run(answered(request))
    assert bodies == []
    assert written.startswith(b"HTTP/1.1 400") and b"not valid HTTP/1.1" in written
