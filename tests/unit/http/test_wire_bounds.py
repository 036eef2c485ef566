"""What one client may cost the others: chunks, framing, slow bodies and slow readers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from tests.support.wire import Listener, Served, SlowWire, Wire, begun, chunks_of, connected, turns

from tenantry.entrypoints.http.wire.limits import WireLimits

LIMITS = WireLimits()
HEAD = b"POST /v1/search HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
GET = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("size", "count", "served"),
    [(1, LIMITS.chunks, True), (1, 100_000, False), (3, 300_000, False), (4, 300_000, True)],
)
def test_chunks_are_as_many_as_their_bytes_are_worth(size: int, count: int, served: bool) -> None:
    """Each costs the loop the same, however small."""

    async def run() -> None:
        application, connection, wire = begun()
        body = bytes(size * count)
        sent = HEAD + b"".join(chunks_of(body, size)) + b"0\r\n\r\n"
        for at in range(0, len(sent), 262_144):
            connection.data_received(sent[at : at + 262_144])
        await turns()
        if served:
            assert application.bodies == [body] and not wire.closed
        else:
            assert application.bodies == [] and wire.closed
            assert wire.written.startswith(b"HTTP/1.1 400") and b"small chunks" in wire.written

    asyncio.run(run())


def test_json_that_is_sent_as_it_is_encoded() -> None:
    """One chunk for each token, as `requests` sends what `iterencode` yields."""
    asked = {"filter": {"field": "n", "op": "in", "values": list(range(100))}, "text": "a\n" * 9}

    async def run() -> None:
        application, connection, _ = begun()
        tokens = [part.encode() for part in json.JSONEncoder().iterencode([asked] * 500)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(token), token) for token in tokens)
        connection.data_received(HEAD + chunks + b"0\r\n\r\n")
        await turns()
        assert len(tokens) > 50_000 and application.bodies == [b"".join(tokens)]

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [
        [HEAD, b"1;a="] + [b"a" * 100_000] * 10,
        [HEAD, b"1;a="] + [b"a" * 30_000] * 20,
        [HEAD, b"0\r\nx: "] + [b"a" * 30_000] * 20,  # a field that the parser keeps until its end
        [HEAD, b"2\r\n[]\r\n0\r\nx"] + [b"a" * 30_000] * 20,
        [b"\r\n" * 5_000] * 100,
        [GET[:-2], *[b" " * 9_000] * 99],
    ],
)
def test_framing_without_end_is_refused(sent: list[bytes]) -> None:
    async def run() -> None:
        _, connection, wire = begun()
        for piece in sent:
            connection.data_received(piece)
        await turns()
        assert wire.written.startswith(b"HTTP/1.1 400") and wire.closed

    asyncio.run(run())


def test_who_sends_much_at_once_lets_others_have_their_turn() -> None:
    async def run() -> None:
        application, connection, wire = begun()
        body = bytes(300_000)
        head = HEAD.replace(b"transfer-encoding: chunked", b"content-length: 300000")
        connection.data_received(head + body[:200_000])
        assert not wire.reading
        await turns()
        assert wire.reading
        connection.data_received(body[200_000:])
        await turns()
        assert application.bodies == [body] and wire.reading

    asyncio.run(run())


def slow_upload() -> tuple[Listener, Wire]:
    wire = Wire()
    listener = Listener(Served())
    connected(listener, wire).data_received(HEAD)
    return listener, wire


def test_a_steady_body_has_longer_but_not_for_ever() -> None:
    async def run() -> None:
        listener, wire = slow_upload()
        (connection,) = listener.connections
        seconds = 0
        while not wire.written:
            listener.later(1)
            seconds += 1
            connection.data_received(chunks_of(bytes(2_000), 2_000)[0])
        assert LIMITS.body_most_s < seconds <= LIMITS.body_most_s + 40
        assert wire.written.startswith(b"HTTP/1.1 408") and wire.closed

    asyncio.run(run())


def test_a_body_that_stalls_is_told_so() -> None:
    async def run() -> None:
        listener, wire = slow_upload()
        (connection,) = listener.connections
        connection.data_received(chunks_of(bytes(20_000), 20_000)[0])
        listener.later(LIMITS.body_s + 1)
        assert wire.written == b""
        connection.data_received(chunks_of(bytes(10_000), 10_000)[0])
        listener.later(LIMITS.stall_s + 1)
        assert wire.written.startswith(b"HTTP/1.1 408") and wire.closed

    asyncio.run(run())


ANSWER = bytes(range(256)) * 4_000  # 1,024,000 bytes


async def asked(listener: Listener) -> SlowWire:
    """Of a client that asks and does not read."""
    wire = SlowWire()
    connected(listener, wire).data_received(GET)
    await turns()
    return wire


def test_a_large_answer_comes_whole_as_it_is_taken_and_the_next_after_it() -> None:
    async def run() -> None:
        listener = Listener(Served(ANSWER))
        wire = await asked(listener)
        assert wire.connection is not None
        wire.connection.data_received(GET)
        while wire.buffered:
            assert wire.buffered <= 2 * LIMITS.write_buffer_bytes
            wire.take(50_000)
            await turns()
        assert wire.written.count(ANSWER) == 2 and listener.unsent.bytes == 0
        assert not wire.closed and wire.reading

    asyncio.run(run())


def test_large_answers_that_nobody_takes_are_bounded() -> None:
    """The slowest reader is cut, and no other, where it is slower than it may be."""

    async def run() -> None:
        listener = Listener(Served(ANSWER), replace(LIMITS, unsent_bytes=2 * len(ANSWER)))
        slow, fast = await asked(listener), await asked(listener)
        listener.later(12)
        fast.take(400_000)
        assert not slow.aborted and listener.unsent.bytes == 2 * len(ANSWER)
        third = await asked(listener)
        assert slow.aborted and not (fast.aborted or third.aborted)
        assert listener.unsent.bytes == 2 * len(ANSWER)
        for wire in (slow, fast, third):
            assert wire.connection is not None
            wire.connection.connection_lost(None)
        assert listener.unsent.bytes == 0

    asyncio.run(run())


def test_who_takes_its_answer_is_not_cut_for_readers_that_take_nothing() -> None:
    """However many begin at once: of them nothing is known yet."""

    async def run() -> None:
        answer = ANSWER * 4
        listener = Listener(Served(answer), replace(LIMITS, unsent_bytes=3 * len(answer)))
        good = await asked(listener)
        for _ in range(10):
            good.take(60_000)
            listener.later(1)
        burst = [await asked(listener) for _ in range(8)]
        assert not good.aborted and [wire.aborted for wire in burst] == [False] * 2 + [True] * 6
        listener.later(20)
        good.take(1_200_000)
        later = await asked(listener)
        assert burst[0].aborted != burst[1].aborted and not (good.aborted or later.aborted)

    asyncio.run(run())


@pytest.mark.parametrize(("each", "whole"), [(400_000, True), (200_000, False), (0, False)])
def test_a_large_answer_has_a_mean_rate(each: int, whole: bool) -> None:
    """Who takes a little in each stall would hold it for hours."""

    async def run() -> None:
        answer = bytes(20 * 1_024_000)
        listener = Listener(Served(answer))
        wire = await asked(listener)
        while not wire.aborted and len(wire.written) - wire.buffered < len(answer):
            wire.take(each)
            await turns()
            listener.later(10)
        assert wire.aborted != whole
        assert listener.clock.now - 1_000 < LIMITS.stall_s + 40 + len(answer) / 32_768

    asyncio.run(run())


def test_a_connection_that_closes_hands_on_the_rest_of_an_answer() -> None:
    async def run() -> None:
        listener = Listener(Served(ANSWER))
        wire = await asked(listener)
        assert wire.connection is not None
        wire.connection.close()
        assert wire.written.endswith(ANSWER) and wire.closed
        assert listener.unsent.bytes == len(ANSWER), "which the transport holds now"
        wire.connection.connection_lost(None)
        assert listener.unsent.bytes == 0

    asyncio.run(run())


def test_what_was_handed_on_does_not_hold_the_whole_answer() -> None:
    """Its last piece would, uncounted, for as long as the reader likes."""
    pieces: list[bytes | memoryview] = []

    class Holding(SlowWire):
        def write(self, data: bytes | memoryview) -> None:
            pieces.append(data)
            super().write(data)

    async def run() -> None:
        wire = Holding()
        listener = Listener(Served(ANSWER))
        connected(listener, wire).data_received(GET)
        while listener.unsent.bytes or not pieces:
            await turns()
            wire.take(50_000)
        assert wire.buffered <= 2 * LIMITS.write_buffer_bytes
        assert all(isinstance(each, bytes) and len(each) <= 65_536 for each in pieces)

    asyncio.run(run())


EXPECTING = b"POST /x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"


@pytest.mark.parametrize("sent", [EXPECTING, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_nothing_is_written_into_the_middle_of_a_large_answer(sent: bytes) -> None:
    async def run() -> None:
        wire = await asked(Listener(Served(ANSWER)))
        assert wire.connection is not None
        wire.connection.data_received(sent)
        while wire.buffered:
            wire.take(50_000)
            await turns()
        assert ANSWER in wire.written

    asyncio.run(run())


def test_a_shutdown_lets_a_large_answer_end() -> None:
    async def run() -> None:
        wire = await asked(Listener(Served(ANSWER)))
        assert wire.connection is not None
        wire.connection.close_if_idle()
        while wire.buffered:
            assert wire.connection.owes() and wire.closed == wire.written.endswith(ANSWER)
            assert wire.buffered <= 2 * LIMITS.write_buffer_bytes
            wire.take(50_000)
        assert wire.written.endswith(ANSWER) and wire.closed and not wire.connection.owes()

    asyncio.run(run())


@pytest.mark.parametrize("secure", [True, False])
def test_a_connection_that_closes_has_time_for_what_tls_does_not_show(secure: bool) -> None:
    class Shown(Wire):
        def get_extra_info(self, name: str) -> object:
            return secure or None

    async def run() -> None:
        listener, wire = Listener(Served()), Shown()
        connected(listener, wire).close()
        listener.later(LIMITS.close_s + 1)
        assert wire.aborted != secure
        listener.later(LIMITS.stall_s)
        assert wire.aborted

    asyncio.run(run())
