"""Frames, resets, windows, hang-ups and shutdowns in any order leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from hpack import Encoder
from tests.support.http2_client import frame

from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.server import Server

LIMITS = WireLimits(
    body_bytes=60_000,
    discard_bytes=200_000,
    held_bytes=150_000,
    small_body_bytes=1_000,
    unsent_bytes=900_000,
    write_buffer_bytes=20_000,
    streams=6,
    frames=600,
    head_s=5,
    body_s=5,
    stall_s=5,
    idle_s=5,
    close_s=0.2,
)
EVENTS = 60


class Anything:
    """An application that answers as its dice fall, and not always well."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice

    async def serve(self, request: Any, exchange: Any) -> None:
        dice = self.dice
        how = dice.randrange(7)
        if how == 0:
            exchange.respond(200, {}, b"")
        elif how == 1:
            exchange.respond(200, {"a": "b"}, bytes(dice.choice((10, 70_000, 500_000))))
        elif how == 2:
            await asyncio.sleep(dice.random() / 50)
            exchange.respond(dice.choice((200, 204)), {}, bytes(dice.choice((0, 300_000))))
        elif how == 3:
            raise asyncio.CancelledError
        else:
            await self._stream(exchange, how)

    async def _stream(self, exchange: Any, how: int) -> None:
        reader = asyncio.current_task()
        assert reader is not None
        exchange.start(200, {})
        exchange.when_gone(reader.cancel)
        try:
            for _ in range(self.dice.randrange(12)):
                await exchange.send(bytes(self.dice.choice((0, 5, 20_000, 100_000))))
                if self.dice.random() < 0.3:
                    await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            if not exchange.gone:
                exchange.cut()
                raise
            return
        if how == 4:
            exchange.cut()
        elif how == 5:
            exchange.finish()

    def refuse(self, status: int, message: str, raw_path: str, exchange: Any) -> None:
        exchange.respond(status, {}, message.encode() * self.dice.choice((1, 1, 3_000)))


class Sender:
    """A client that sends whatever the dice say, now and then against the rules."""

    def __init__(self, dice: random.Random, rules: bool) -> None:
        self.dice, self.rules = dice, rules
        self.next_id = 1
        self.packs = Encoder()

    def any(self) -> bytes:
        known = range(1, self.next_id, 2)
        stream_id = self.dice.choice(known[-10:]) if known else 0
        if not stream_id or self.dice.random() < 0.3:
            return self.head()
        choices = [self.data, self.data, self.reset, self.window, self.trailer, self.control]
        if not self.rules:
            choices.append(self.wrong)
        return self.dice.choice(choices)(stream_id)

    def head(self) -> bytes:
        dice, stream_id = self.dice, self.next_id
        self.next_id += 2 * dice.choice((1, 1, 1, 3))
        fields = [(":method", dice.choice(("POST", "GET", "HEAD"))), (":scheme", "http")]
        fields += [(":path", dice.choice(("/", "/a", "x"))), (":authority", "x")]
        fields += [("x", "y" * dice.choice((1, 3_000)))] if dice.random() < 0.3 else []
        length = dice.choice(("5", "+1", "70000", "900000", "9" * 30))
        fields += [("content-length", length)] if dice.random() < 0.3 else []
        fields += [("expect", "100-continue")] if dice.random() < 0.1 else []
        packed = self.packs.encode(fields)
        flags = dice.choice((0, 1))
        if dice.random() < 0.8:
            return frame(1, packed, flags | 4, stream_id)
        return frame(1, packed[:3], flags, stream_id) + frame(9, packed[3:], 4, stream_id)

    def data(self, stream_id: int) -> bytes:
        dice = self.dice
        size, flags = dice.choice((0, 1, 5, 400, 16_000)), dice.choice((0, 0, 1))
        if dice.random() < 0.2:
            return frame(0, bytes((3,)) + bytes(size + 3), flags | 8, stream_id)
        return frame(0, bytes(size), flags, stream_id)

    def reset(self, stream_id: int) -> bytes:
        return frame(3, b"\x00\x00\x00\x08", 0, stream_id) * self.dice.choice((1, 1, 2))

    def window(self, stream_id: int) -> bytes:
        more = self.dice.choice((1, 1_000, 100_000, 2**31 - 1 if not self.rules else 9))
        return frame(8, struct.pack("!I", more), 0, self.dice.choice((0, stream_id)))

    def trailer(self, stream_id: int) -> bytes:
        return frame(1, self.packs.encode([("content-length", "x")]), 5, stream_id)

    def control(self, stream_id: int) -> bytes:
        dice = self.dice
        return dice.choice(
            (
                frame(6, bytes(8)),
                frame(4, struct.pack("!HI", 4, dice.choice((0, 1, 65_535, 500_000)))),
                frame(4, struct.pack("!HIHI", 1, dice.choice((0, 9, 2**32 - 1)), 77, 5)),
                frame(4, struct.pack("!HI", 5, dice.choice((16_384, 2**24 - 1)))),
                frame(2, struct.pack("!IB", stream_id, 5), 0, stream_id),
                frame(0x20, b"what", 0, stream_id),
                frame(7, bytes(8)) if dice.random() < 0.1 else b"",
            )
        )

    def wrong(self, stream_id: int) -> bytes:
        dice = self.dice
        return dice.choice(
            (
                frame(dice.randrange(12), dice.randbytes(dice.randrange(12)), dice.randrange(256),
                      dice.choice((0, 1, 2, stream_id, 2**31 - 1))),
                dice.randbytes(dice.randrange(30)),
                frame(1, b"\xff\xff", 5, self.next_id),
            )
        )  # fmt: skip


async def _talk(server: Server, port: int, dice: random.Random, *, rules: bool) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, dice.choice((4_096, 1_000_000)))
        plain.settimeout(0)
        with contextlib.suppress(OSError):
            await loop.sock_connect(plain, ("127.0.0.1", port))
            await _say_anything(server, plain, dice, rules=rules)
        if dice.random() < 0.5:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _say_anything(
    server: Server, plain: socket.socket, dice: random.Random, *, rules: bool
) -> None:
    loop = asyncio.get_running_loop()
    sender = Sender(dice, rules)
    reads = dice.random() < 0.7
    await _send(plain, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4))
    for _ in range(EVENTS):
        sent = sender.any()
        at = dice.randrange(len(sent) + 1)
        await _send(plain, sent[:at])
        if dice.random() < 0.1:
            await asyncio.sleep(dice.random() / 100)
        await _send(plain, sent[at:])
        if reads and dice.random() < 0.3:
            with contextlib.suppress(BlockingIOError):
                plain.recv(200_000)
        if dice.random() < 0.02:
            for each in tuple(server.connections):
                each.cut_if_late(loop.time() + dice.choice((1, 8, 20)))


async def _send(plain: socket.socket, data: bytes) -> None:
    """Or what can be sent of it within a few turns: the server may have stopped reading."""
    for _ in range(10):
        with contextlib.suppress(BlockingIOError):
            data = data[plain.send(data) :]
        await asyncio.sleep(0)
        if not data:
            return
    raise TimeoutError  # half a frame was sent, and nothing can follow


async def _one(seed: int) -> None:
    dice = random.Random(seed)
    server = Server(Anything(dice), LIMITS)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    await server.listen(listener)
    talks = [
        asyncio.create_task(_talk(server, port, random.Random(f"{seed} {n}"), rules=n == 0))
        for n in range(3)
    ]
    end = dice.randrange(3)
    if end:
        await asyncio.sleep(dice.random() / 5)
        if end == 1:
            await server.finish(0.1)
        await server.drain(0.2)
    await asyncio.gather(*talks, return_exceptions=True)
    if end:  # after which its process ends, and with it who came too late for the shutdown
        for each in tuple(server.connections):
            each.cut()
    for _ in range(200):
        if not server.connections and not server.tasks:
            break
        await asyncio.sleep(0.02)
    assert (server.held_bytes, server.unsent.bytes) == (0, 0), f"seed {seed}"
    assert not server.tasks, f"seed {seed}"
    assert end or not server.connections, f"seed {seed}"
    await server.drain(1)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("first", range(0, 60, 15))
def test_nothing_is_left(
    first: int, loop: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), asyncio.Runner(loop_factory=loop) as runner:
        for seed in range(first, first + 15):
            runner.run(_one(seed))
    assert [each.getMessage() for each in caplog.records] == []
