"""What a connection of the HTTP edge is made of, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, cast

from tenantry.entrypoints.http.wire.connection import Connection
from tenantry.entrypoints.http.wire.exchange import Exchange
from tenantry.entrypoints.http.wire.handover import Application, Who
from tenantry.entrypoints.http.wire.holding import Holdings
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.outgoing import Unsent
from tenantry.entrypoints.http.wire.request import Request


class Served:
    """An application that keeps the bodies it was given, and answers each alike."""

    def __init__(self, answer: bytes = b"") -> None:
        self.bodies: list[bytes] = []
        self.answer = answer
        self.streams = False  # without an end

    async def serve(self, request: Request, exchange: Exchange) -> None:
        self.bodies.append(request.body)
        if self.streams:
            exchange.start(200, {})
            await asyncio.Event().wait()
        exchange.respond(200, {}, self.answer)

    def refuse(self, status: int, message: str, raw_path: str, exchange: Exchange) -> None:
        exchange.respond(status, {}, message.encode())


class Clock:
    """A loop whose time is put forward by hand."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = 1_000.0

    def time(self) -> float:
        return self.now

    def create_task(self, work: Any) -> asyncio.Task[Any]:
        return self._loop.create_task(work)

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self._loop.call_soon(callback, *args, context=context)


class Listener:
    """What the connections of one listener share."""

    def __init__(self, application: Application, limits: WireLimits | None = None) -> None:
        self.application = application
        self.limits = limits or WireLimits()
        self.clock = Clock()
        self.loop = cast(asyncio.AbstractEventLoop, self.clock)
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.who: Who | None = None
        self.holdings = Holdings(self.limits.held_bytes, self.clock.time)
        self.unsent = Unsent(self.limits)
        self.finishing = False
        self.ended = asyncio.Event()

    @property
    def held_bytes(self) -> int:
        return self.holdings.bytes

    def later(self, seconds: float) -> None:
        """So much later, with a look at all deadlines."""
        self.clock.now += seconds
        for connection in tuple(self.connections):
            connection.cut_if_late(self.clock.now)


class Wire:
    """A transport to a client that takes everything at once."""

    def __init__(self) -> None:
        self.written = b""
        self.reading = True
        self.closed = False
        self.aborted = False

    def write(self, data: bytes | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> object:
        return None


class SlowWire(Wire):
    """A transport to a client that takes what it is made to take."""

    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection | None = None
        self.high = 0
        self.buffered = 0
        self.paused = False

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def write(self, data: bytes | memoryview) -> None:
        super().write(data)
        self.buffered += len(data)
        if self.buffered > self.high and not self.paused:
            self.paused = True
            assert self.connection is not None
            self.connection.pause_writing()

    def take(self, count: int) -> None:
        while count and self.buffered:
            taken = min(count, self.buffered, 50_000)
            count -= taken
            self.buffered -= taken
            if self.paused and self.buffered <= self.high // 4:
                self.paused = False
                assert self.connection is not None
                self.connection.resume_writing()


def chunks_of(body: bytes, size: int) -> list[bytes]:
    """A body in chunks of `size` bytes, without the last."""
    parts = (body[at : at + size] for at in range(0, len(body), size))
    return [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]


async def turns() -> None:
    """Until nothing is left to run."""
    for _ in range(200):
        await asyncio.sleep(0)


def begun() -> tuple[Served, Connection, Wire]:
    served, wire = Served(), Wire()
    return served, connected(Listener(served), wire), wire


def connected(listener: Listener, wire: Wire) -> Connection:
    connection = Connection(listener)
    if isinstance(wire, SlowWire):
        wire.connection = connection
    connection.connection_made(cast(asyncio.Transport, wire))
    return connection


async def answered(request: bytes) -> tuple[list[bytes], bytes]:
    """The bodies that were served, and what the client was told."""
    served, connection, wire = begun()
    connection.data_received(request)
    await turns()
    return served.bodies, wire.written
