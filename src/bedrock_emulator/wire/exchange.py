"""One request and the writing of its answer, between the HTTP connection and the operations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Path and query are as sent; header names lower-case, repeats joined."""

    method: str
    raw_path: str
    raw_query: str
    headers: Headers
    body: bytes
    from_loopback: bool
    http_1_0: bool = False


class Exchange:
    """Writes one answer. After the client has gone every write is a no-op and `gone` is true."""

    def __init__(self, transport: asyncio.Transport, *, keep_alive: bool, chunked: bool) -> None:
        self._transport = transport
        self._chunked = chunked
        self._closed: asyncio.Event | None = None  # made only by those who wait for it
        self._writable: asyncio.Event | None = None
        self.keep_alive = keep_alive
        self.started = False
        self.gone = False
        self.waiting = False  # in `pause`
        self.half_closed = False  # the client sends nothing more; it may still read

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer at once."""
        if self.gone:
            return
        head = self._head(status, headers, f"content-length: {len(body)}\r\n")
        self.started = True
        self._transport.write(head + body)

    async def respond_half(self, status: int, headers: Headers, body: bytes) -> None:
        """Promises the whole body, sends half of it and cuts the connection."""
        if self.gone:
            return
        head = self._head(status, headers, f"content-length: {len(body)}\r\n")
        self._transport.write(head + body[: len(body) // 2])
        await self.abort()

    def start(self, status: int, headers: Headers) -> None:
        """Sends status and headers of a streamed answer at once."""
        if self.gone:
            return
        if not self._chunked:
            self.keep_alive = False
        framing = "transfer-encoding: chunked\r\n" if self._chunked else ""
        head = self._head(status, headers, framing)
        self.started = True
        self._transport.write(head)

    async def send(self, data: bytes) -> None:
        """Sends one piece of a streamed answer; waits while the reader is slow."""
        if self.gone:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._transport.write(data)
        if self._writable is not None:
            await self._writable.wait()

    def finish(self) -> None:
        if not self.gone and self._chunked:
            self._transport.write(b"0\r\n\r\n")

    async def abort(self) -> None:
        """Sends what was written so far, then cuts the connection without a proper end."""
        self.keep_alive = False
        for _ in range(ABORT_TURNS):
            if self.gone or not self._transport.get_write_buffer_size():
                break
            await asyncio.sleep(ABORT_TURN_S)
        self._transport.abort()

    async def pause(self, seconds: float) -> None:
        """Waits, but no longer than the client does.

        A client that has closed its sending half has left, as far as a wait can tell.
        """
        if seconds <= 0 or self.gone:
            return
        if self.half_closed:
            self.client_left()
            return
        self.waiting = True
        try:
            await asyncio.wait_for(self.wait_gone(), seconds)
        except TimeoutError:
            return
        finally:
            self.waiting = False

    async def wait_gone(self) -> None:
        if self.gone:
            return
        if self._closed is None:
            self._closed = asyncio.Event()
        await self._closed.wait()

    def client_left(self) -> None:
        """Called by the connection when it is lost."""
        self.gone = True
        self.keep_alive = False
        if self._closed is not None:
            self._closed.set()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def _head(self, status: int, headers: Headers, framing: str) -> bytes:
        lines = [_status_line(status), f"date: {http_date(int(time.time()))}\r\n", framing]
        lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
        if not self.keep_alive:
            lines.append("connection: close\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1", "replace")


ABORT_TURNS = 100  # how often a cut looks whether its last bytes have left
ABORT_TURN_S = 0.01
_STATUSES = frozenset(HTTPStatus)


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    """A status that has no phrase of its own, as 529, gets an empty one."""
    phrase = HTTPStatus(status).phrase if status in _STATUSES else ""
    return f"HTTP/1.1 {status} {phrase}\r\n"


@lru_cache(maxsize=2)
def http_date(now_s: int) -> str:
    return formatdate(now_s, usegmt=True)
