"""What a connection holds while it reads, without a socket."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import cast

import pytest
from tests.support.wire import Listener, Served, Wire, answered, begun, chunks_of, turns

from tenantry.entrypoints.http.wire.connection import Connection
from tenantry.entrypoints.http.wire.exchange import Exchange
from tenantry.entrypoints.http.wire.limits import WireLimits

HEAD = b"POST /v1/search HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"

GET = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"


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
    bodies, peak = asyncio.run(read([HEAD, *chunks_of(body, 32), b"0\r\n\r\n"]))
    assert bodies == [body]
    assert peak < 4 * len(body)


def test_a_body_in_one_piece_is_not_copied() -> None:
    body = bytes(1_000_000)
    head = HEAD.replace(b"transfer-encoding: chunked", b"content-length: 1000000")
    bodies, peak = asyncio.run(read([head, body]))
    assert bodies == [body]
    assert peak < 1.5 * len(body)


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


CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
NEXT = b"GET /y HTTP/1.1\r\nhost: x\r\nx-a: "


@pytest.mark.parametrize(
    "before",
    [
        b"content-length: 262000\r\n\r\n" + b"z" * 262_000,
        b"content-length: 262000\r\n\r\n" + b"\r\n\r\nz" * 52_400,
        CHUNKED + b"".join(chunks_of(b"z" * 262_000, 32_000)) + b"0\r\n\r\n",
        b"content-length: 2\r\n\r\n{}",
        b"\r\n",
    ],
)
@pytest.mark.parametrize("cut", [1, 6, len(NEXT)])
def test_what_came_before_a_head_is_no_part_of_it(before: bytes, cut: int) -> None:
    """It would be held, and refused for its length."""

    async def run() -> None:
        served, connection, wire = begun()
        connection.data_received(b"POST /x HTTP/1.1\r\nhost: x\r\n" + before + NEXT[:cut])
        await turns()
        assert connection._head == NEXT[:cut]
        for byte in NEXT[cut:] + b"b" * 300:
            connection.data_received(bytes([byte]))
        connection.data_received(b"\r\n\r\n")
        await turns()
        assert len(served.bodies) == 2 and wire.written.count(b"HTTP/1.1 200") == 2
        assert connection._head == b""

    asyncio.run(run())


def test_http_1_0_is_not_told_to_go_on() -> None:
    """Its clients know no answer before the answer (RFC 9110 §10.1.1)."""
    head = b"POST /v1/search HTTP/1.%d\r\nhost: x\r\nexpect: 100-continue\r\n"
    rest = b"content-length: 2\r\n\r\n{}"
    for minor, told in ((0, b"HTTP/1.1 200"), (1, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")):
        bodies, written = asyncio.run(answered(head % minor + rest))
        assert bodies == [b"{}"] and written.startswith(told)


@pytest.mark.parametrize(
    "version",
    [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/3.0", b"", b"RTSP/1.0", b"RTSP/1.1", b"ICE/1.0"],
)
@pytest.mark.parametrize("more", [b"", b"connection: upgrade\r\nupgrade: h2c\r\n"])
def test_another_version_of_http_is_refused(version: bytes, more: bytes) -> None:
    method = b"SOURCE" if version.startswith(b"ICE") else b"POST"  # the one that ICE knows
    line = method + b" /v1/search " + version
    request = line.strip() + b"\r\nhost: x\r\n" + more + b"content-length: 2\r\n\r\n{}"
    bodies, written = asyncio.run(answered(request))
    assert bodies == []
    assert written.startswith(b"HTTP/1.1 400") and b"not valid HTTP/1.1" in written


def test_the_request_line_is_found_wherever_it_is_cut() -> None:
    """Behind another whose target it begins, and in pieces of any size."""

    async def run(size: int) -> None:
        served, connection, wire = begun()
        sent = GET + GET.replace(b"/openapi.json", b"/open") + b"\r\n" + GET
        for at in range(0, len(sent), size):
            connection.data_received(sent[at : at + size])
            await turns()
        assert len(served.bodies) == 3 and wire.written.count(b"HTTP/1.1 200") == 3

    for size in (1, 7, 50, 1_000):
        asyncio.run(run(size))


@pytest.mark.parametrize("length", [b"2", b"00000000000000000002", b"0" * 40 + b"2"])
def test_a_length_with_zeros_before_it(length: bytes) -> None:
    head = b"POST /v1/search HTTP/1.1\r\nhost: x\r\ncontent-length: " + length
    bodies, written = asyncio.run(answered(head + b"\r\n\r\n{}"))
    assert bodies == [b"{}"] and written.startswith(b"HTTP/1.1 200")


def test_no_length_is_said_of_no_content_nor_of_what_is_there_already() -> None:
    """RFC 9110 §8.6."""
    wire = Wire()
    for status in (204, 304, 200):
        exchange = Exchange(cast(asyncio.Transport, wire), keep_alive=True, chunked=True)
        exchange.respond(status, {}, b"")
    none, same, empty = wire.written.split(b"HTTP/1.1 ")[1:]
    assert b"content-length" not in none + same and b"content-length: 0\r\n" in empty


def test_who_has_said_all_still_gets_the_answer() -> None:
    async def run() -> None:
        _, connection, wire = begun()
        connection.data_received(GET * 2)
        assert connection.eof_received(), "it may read still"
        await turns()
        assert wire.written.count(b"HTTP/1.1 200") == 2 and wire.closed

    asyncio.run(run())


def test_who_leaves_a_stream_or_an_idle_connection_has_gone() -> None:
    async def run() -> None:
        served, connection, _ = begun()
        assert not connection.eof_received()
        served, connection, _ = begun()
        served.streams = True
        connection.data_received(GET)
        await turns()
        assert not connection.eof_received()

    asyncio.run(run())
