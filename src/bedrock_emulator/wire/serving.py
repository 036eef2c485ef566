"""What the connections of one emulator share: whom they hand requests to, limits, tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

from bedrock_emulator.wire.exchange import Exchange, Request

Handler = Callable[[Request, Exchange], Awaitable[None]]
Refuser = Callable[[int, str, str, Exchange], None]


@dataclass(frozen=True, slots=True)
class Limits:
    body_bytes: int = 25_000_000  # InvokeModel's body limit
    discard_bytes: int = 100_000_000  # read and dropped after an oversized body, then cut
    target_bytes: int = 16_384  # path and query
    header_bytes: int = 65_536
    header_count: int = 200
    request_s: float = 60.0  # for a whole request to arrive
    idle_s: float = 75.0  # between requests
    stall_s: float = 60.0  # a reader that takes nothing for so long has gone
    close_s: float = 10.0  # for the last bytes to leave
    pipelined: int = 16
    streams: int = 256  # at once, of an HTTP/2 connection
    held_bytes: int = 400_000_000  # of their bodies together
    connections: int = 4_096
    write_buffer_bytes: int = 262_144


class Open(Protocol):
    """A connection."""

    def cut_if_late(self, now: float) -> None: ...
    def close(self) -> None: ...


class Server:
    def __init__(self, handle: Handler, refuse: Refuser, limits: Limits | None = None) -> None:
        self.handle = handle
        self.refuse = refuse
        self.limits = limits or Limits()
        self.connections: set[Open] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop = asyncio.get_running_loop()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Runs a request, which `drain` waits for."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def sweep(self) -> None:
        """Cuts connections that are past their deadline; called about once a second."""
        now = self.loop.time()
        for connection in tuple(self.connections):
            connection.cut_if_late(now)

    async def drain(self, grace_s: float) -> None:
        """Lets running requests end, then cancels them; closes every connection."""
        if self.tasks:
            await asyncio.wait(tuple(self.tasks), timeout=grace_s)
        for task in tuple(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(tuple(self.tasks), timeout=grace_s)
        for connection in tuple(self.connections):
            connection.close()


REFUSALS = {
    400: ("BadRequestException", "The request is not valid HTTP."),
    413: ("RequestEntityTooLargeException", "The request body is larger than 25,000,000 bytes."),
    414: ("RequestUriTooLongException", "The request target is too long."),
    431: ("RequestHeaderFieldsTooLargeException", "The request headers are too large."),
}
