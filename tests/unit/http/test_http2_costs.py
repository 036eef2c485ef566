"""What one HTTP/2 connection may cost, and that one stream's faults are no other's."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hpack import Decoder, Encoder
from tests.support.http2_client import frame
from tests.support.wire import Listener, Served, SlowWire, turns

from tenantry.entrypoints.http.wire.http2.connection import Http2Connection
from tenantry.entrypoints.http.wire.limits import WireLimits

HEAD = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"x")]
NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM = 0, 1, 7


def begun(
    served: Served | None = None, **limits: Any
) -> tuple[Listener, Http2Connection, SlowWire]:
    listener = Listener(served or Served(), WireLimits(**limits))
    wire, connection = SlowWire(), Http2Connection(cast(Any, listener))
    wire.connection = cast(Any, connection)
    wire.set_write_buffer_limits(listener.limits.write_buffer_bytes)
    connection.connection_made(cast(asyncio.Transport, wire))
    connection.data_received(frame(4))
    return listener, connection, wire


def head(stream_id: int, *more: tuple[bytes, bytes], end: bool = True) -> bytes:
    packed = Encoder().encode([*HEAD, *more])
    return frame(1, packed, flags=4 | end, stream_id=stream_id)


def frames_of(wire: SlowWire, kind: int) -> list[bytes]:
    """Stream and payload of each frame of a kind that was written."""
    found, data = [], wire.written
    while data:
        size = 9 + int.from_bytes(data[:3], "big")
        if data[3] == kind:
            found.append(data[5:size])
        data = data[size:]
    return found


def statuses(wire: SlowWire) -> dict[int, bytes]:
    decoder, told = Decoder(), {}
    for each in frames_of(wire, 1):
        fields = dict(decoder.decode(each[4:], raw=True))
        told[int.from_bytes(each[:4], "big")] = fields[b":status"]
    return told


def test_settings_that_nobody_knows_are_not_kept() -> None:
    """There are 65,536 names, and each frame would look at all that were kept."""

    async def run() -> None:
        _, connection, wire = begun()
        window = SettingCodes.INITIAL_WINDOW_SIZE.to_bytes(2, "big") + (70_000).to_bytes(4, "big")
        names = range(100, 2_700)
        many = b"".join(name.to_bytes(2, "big") + bytes(4) for name in names)
        connection.data_received(frame(4, many + window))
        await turns()
        kept = cast(H2Connection, connection._h2).remote_settings
        assert len(kept) < 10 and kept.initial_window_size == 70_000
        assert len(frames_of(wire, 4)) == 3  # ours, and that each of theirs was heard
        connection.data_received(frame(4, many + b"x"))
        await turns()
        assert frames_of(wire, 7)  # a part of a setting is none

    asyncio.run(run())


@pytest.mark.parametrize("length", [b"abc", b"+2", b"", b"-1", b"2, 2", b"3", b"1", b"9" * 5_000])
@pytest.mark.parametrize("where", ["head", "twice", "trailer"])
def test_a_stream_of_a_wrong_length_ends_alone(length: bytes, where: str) -> None:
    """Who stands before us sends the streams of many callers on one connection."""

    async def run() -> None:
        listener, connection, wire = begun()
        served = cast(Served, listener.application)
        served.streams = True
        connection.data_received(head(1))
        await turns()
        wrong = (b"content-length", length)
        if where == "trailer":
            trailer = frame(1, Encoder().encode([wrong]), flags=5, stream_id=3)
            sent = head(3, end=False) + frame(0, b"{}", stream_id=3) + trailer
        else:
            more = (wrong, (b"content-length", b"2"))[: 1 + (where == "twice")]
            sent = head(3, *more, end=False) + frame(0, b"{}", flags=1, stream_id=3)
        served.streams = False
        connection.data_received(sent)
        await turns()
        alone = {"head": b"413" if len(length) > 100 else b"400", "twice": b"400"}
        expected = alone.get(where, b"200")
        assert statuses(wire) == {1: b"200", 3: expected}
        assert not frames_of(wire, 7) and len(listener.tasks) == 1
        connection.connection_lost(None)
        for task in tuple(listener.tasks):
            task.cancel()
        await turns()
        assert listener.held_bytes == listener.unsent.bytes == 0

    asyncio.run(run())


def test_a_body_that_is_longer_than_was_said_is_not_kept() -> None:
    async def run() -> None:
        listener, connection, wire = begun(small_body_bytes=0)
        connection.data_received(head(1, (b"content-length", b"2"), end=False))
        connection.data_received(frame(0, bytes(10_000), stream_id=1))
        assert listener.held_bytes == 0
        connection.data_received(frame(0, b"", flags=1, stream_id=1))
        await turns()
        assert statuses(wire) == {1: b"400"} and not listener.tasks

    asyncio.run(run())


def test_who_was_told_goodbye_and_reads_no_more_is_cut() -> None:
    """Also who took enough first for the transport to ask for more."""

    async def run() -> None:
        listener, connection, wire = begun(write_buffer_bytes=1_000, stall_bytes=100)
        connection.data_received(frame(6, bytes(8)) * 100)
        await turns()
        assert wire.paused
        connection.close(ErrorCodes.PROTOCOL_ERROR)
        wire.take(wire.buffered - 100)
        assert not wire.paused and wire.buffered == 100
        for _ in range(3):
            listener.later(listener.limits.stall_s + 1)
        assert wire.aborted

    asyncio.run(run())


def test_requests_that_are_refused_end_no_others() -> None:
    """Whoever else sends them on the connection of a proxy: refused and answered is answered."""

    async def run() -> None:
        listener, connection, wire = begun(frames=1_000)
        cast(Served, listener.application).streams = True
        connection.data_received(head(1))
        many = [(b"x", b"y")] * (listener.limits.header_count + 1)
        for stream_id in range(3, 203, 2):
            connection.data_received(head(stream_id, *many))
            await turns()
        assert not frames_of(wire, 7)
        assert set(statuses(wire).values()) == {b"200", b"431"}
        connection.connection_lost(None)
        for task in tuple(listener.tasks):
            task.cancel()
        await turns()

    asyncio.run(run())


def test_the_last_stream_that_counts_is_never_put_later() -> None:
    """RFC 9113 §6.8: what was refused after the first word would seem to have been served."""

    async def run() -> None:
        listener, connection, wire = begun()
        served = cast(Served, listener.application)
        gate = asyncio.Event()

        async def waits(request: Any, exchange: Any) -> None:
            await gate.wait()
            exchange.respond(200, {}, b"")

        served.serve = waits  # type: ignore[method-assign]
        connection.data_received(head(1))
        await turns()
        connection.close_if_idle()
        connection.data_received(head(3))
        gate.set()
        await turns()
        assert [each[4:] for each in frames_of(wire, 3)] == [REFUSED_STREAM.to_bytes(4, "big")]
        last = [int.from_bytes(each[4:8], "big") for each in frames_of(wire, 7)]
        assert last == [1, 1] and statuses(wire) == {1: b"200"}

    asyncio.run(run())


def test_answers_are_sent_by_turns() -> None:
    """A client that takes all at once does not hold up the other connections."""

    async def run() -> None:
        _, connection, wire = begun(Served(b"z" * 300_000), write_buffer_bytes=2**40)
        connection.data_received(frame(4, b"\x00\x04\x7f\xff\xff\xff"))
        connection.data_received(frame(8, b"\x7f\xff\x00\x00"))
        for stream_id in range(1, 41, 2):
            connection.data_received(head(stream_id))
        most = before = len(wire.written)
        for _ in range(500):
            await asyncio.sleep(0)
            most = max(most if before else 0, len(wire.written) - before)
            before = len(wire.written)
        assert wire.written.count(b"z") == 20 * 300_000
        assert most <= 1_000_000

    asyncio.run(run())


def test_large_heads_are_earned_back_whole() -> None:
    """Packed and unpacked: a proxy's cookies and tokens are sent anew with each request."""

    async def run() -> None:
        _, connection, wire = begun(frames=1_000)
        for stream_id in range(1, 101, 2):
            connection.data_received(head(stream_id, (b"x", b"y" * 12_000)))
            await turns()
        assert not frames_of(wire, 7)
        assert list(statuses(wire).values()) == [b"200"] * 50

    asyncio.run(run())


def test_a_head_that_unpacks_to_much_is_a_turn_alone() -> None:
    """Thousands of fields of a byte each take milliseconds, and there may be many such heads."""

    async def run() -> None:
        _, connection, wire = begun()
        packed = Encoder().encode(HEAD) + b"\x90" * 2_500
        heads = [frame(1, packed, flags=5, stream_id=each) for each in range(1, 41, 2)]
        connection.data_received(b"".join(heads))
        assert len(frames_of(wire, 1)) == 1
        await turns()
        assert list(statuses(wire).values()) == [b"431"] * 20

    asyncio.run(run())


@pytest.mark.parametrize(("one", "most"), [(b"\x20", 8), (b"\x3f\xe1\x1f", 8), (b"\x3f\x00", 8)])
def test_a_table_is_not_resized_for_ever(one: bytes, most: int) -> None:
    """85,000 sizes are as many bytes, and took 140 ms."""

    async def run(count: int) -> list[bytes]:
        _, connection, wire = begun()
        block = one * count + Encoder().encode(HEAD)
        connection.data_received(frame(1, block, flags=5, stream_id=1))
        await turns()
        return [each[-4:] for each in frames_of(wire, 7)]

    assert asyncio.run(run(most)) == []
    assert asyncio.run(run(most + 1)) == [ErrorCodes.COMPRESSION_ERROR.to_bytes(4, "big")]
