"""What an HTTP/2 connection reads at a time, and that it reads nothing for who does not."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from tests.support.http2_client import frame
from tests.support.wire import Listener, Served, SlowWire, turns

from tenantry.entrypoints.http.wire.http2.connection import Http2Connection
from tenantry.entrypoints.http.wire.http2.frames import Frames, Violation
from tenantry.entrypoints.http.wire.limits import WireLimits

PING, PINGS = frame(6, bytes(8)), 2_000
ANSWERED = frame(6, bytes(8), flags=1)
GET = frame(1, b"\x82\x86\x84\x41\x01x", flags=5, stream_id=1)


def begun(**limits: Any) -> tuple[Listener, Http2Connection, SlowWire]:
    listener = Listener(Served(), WireLimits(frames=100_000, **limits))
    wire, connection = SlowWire(), Http2Connection(cast(Any, listener))
    wire.connection = cast(Any, connection)
    wire.set_write_buffer_limits(listener.limits.write_buffer_bytes)
    connection.connection_made(cast(asyncio.Transport, wire))
    connection.data_received(frame(4))
    return listener, connection, wire


def test_a_large_read_is_looked_at_by_turns() -> None:
    """Others have theirs between: a frame takes 20 µs, and there may be thousands."""

    async def run() -> None:
        _, connection, wire = begun()
        connection.data_received(PING * PINGS)
        most = wire.written.count(ANSWERED)
        while wire.written.count(ANSWERED) < PINGS:
            assert not wire.reading
            before = wire.written.count(ANSWERED)
            await asyncio.sleep(0)
            most = max(most, wire.written.count(ANSWERED) - before)
        await turns()
        assert most <= 32 and wire.reading

    asyncio.run(run())


@pytest.mark.parametrize("pieces", [1, 20])
def test_answers_to_pings_do_not_pile_up(pieces: int) -> None:
    async def run() -> None:
        listener, connection, wire = begun(write_buffer_bytes=1_000)
        cast(Served, listener.application).streams = True
        connection.data_received(GET)  # which keeps the connection from being idle
        sent = 0
        for _ in range(100):
            if wire.reading:
                connection.data_received(PING * pieces)
                sent += pieces
            await turns()
        assert not wire.reading and sent < 200 and wire.buffered < 2_500
        listener.later(listener.limits.head_s + 1)  # in which we ourselves read nothing
        assert not wire.aborted
        while wire.buffered:
            wire.take(500)
            await turns()
        assert wire.reading and wire.written.count(ANSWERED) == sent
        connection.data_received(PING[:5])
        listener.later(listener.limits.head_s + 1)
        assert wire.aborted
        connection.connection_lost(None)
        for task in tuple(listener.tasks):
            task.cancel()
        await turns()

    asyncio.run(run())


def test_who_takes_nothing_is_cut() -> None:
    async def run() -> None:
        listener, connection, wire = begun(write_buffer_bytes=1_000, idle_s=1_000, head_s=1_000)
        connection.data_received(PING * 200)
        await turns()
        listener.later(listener.limits.stall_s + 1)
        assert wire.aborted

    asyncio.run(run())


@pytest.mark.parametrize("most", [1_199, 1_200])
def test_a_head_is_bounded_before_it_is_unpacked(most: int) -> None:
    """Whatever it unpacks to; one head has nothing to do with the next."""
    frames = Frames(most)
    head = frame(1, bytes(600), stream_id=1) + frame(9, bytes(600), flags=4, stream_id=1)
    frames.add(frame(4) + head * 3)
    read = 0
    try:
        while frames.next() is not None:
            read += 1
    except Violation as violation:
        assert violation.code == 11  # ENHANCE_YOUR_CALM
    assert read == (7 if most == 1_200 else 2)
