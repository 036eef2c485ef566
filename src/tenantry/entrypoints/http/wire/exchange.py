"""The writing of one answer, with back-pressure and word of a client that has gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

_JOINED_BYTES_MAX = 65_536  # a larger body is not copied, and sent as its reader takes it
# Of nothing no length is said (RFC 9110 §8.6), nor of what the client has already.
WITHOUT_LENGTH: Final = frozenset({204, 304})
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}


class Exchange:
    """Writes one answer. Once the client has gone every write does nothing and `gone` is true."""

    __slots__ = (
        "_chunked", "_head_only", "_on_gone", "_transport", "_writable",
        "gone", "keep_alive", "large", "started", "status",
    )  # fmt: skip

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        keep_alive: bool,
        chunked: bool,
        head_only: bool = False,
    ) -> None:
        self._transport = transport
        self._chunked = chunked  # False for HTTP/1.0: the end of the connection ends the body
        self._head_only = head_only
        self._writable: asyncio.Event | None = None  # while the write buffer is full
        self._on_gone: Callable[[], None] | None = None
        self.keep_alive = keep_alive
        self.large: bytes | None = None  # a body that the connection has yet to send
        self.started = False
        self.gone = False
        self.status = 0

    def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer at once. A large one is sent by the connection when this one is done."""
        if self.gone:
            return
        framing = "" if status in WITHOUT_LENGTH else f"content-length: {len(body)}\r\n"
        head = self._head(status, headers, framing)
        if self._head_only or not body:
            self._transport.write(head)
        elif len(body) <= _JOINED_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self.large = body

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers of a streamed answer, sent at once."""
        if self.gone:
            return
        if not self._chunked:
            self.keep_alive = False
        framing = "transfer-encoding: chunked\r\n" if self._chunked else ""
        self._transport.write(self._head(status, headers, framing))

    async def send(self, data: bytes) -> None:
        """One piece of a streamed answer; waits while the reader is slow."""
        if self.gone or not data:
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        if self._writable is not None:
            await self._writable.wait()

    def finish(self) -> None:
        """Ends a streamed answer."""
        if not self.gone and self._chunked:
            self._transport.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Ends a streamed answer that cannot be ended well: the client sees it was cut."""
        self.keep_alive = False
        self._chunked = False

    def when_gone(self, callback: Callable[[], None]) -> None:
        """`callback` runs as soon as the client has gone, at once if it has already."""
        if self.gone:
            callback()
        else:
            self._on_gone = callback

    def client_left(self) -> None:
        """Told by the connection."""
        if self.gone:
            return
        self.gone = True
        self.resume_writing()
        if self._on_gone is not None:
            self._on_gone()

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def _head(self, status: int, headers: Mapping[str, str], framing: str) -> bytes:
        self.started = True
        self.status = status
        lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n", _date_line(), framing]
        lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
        if not self.keep_alive:
            lines.append("connection: close\r\n")
        lines.append("\r\n")
        head = "".join(lines)
        # A line break inside a value would let whoever chose it write headers of our answer.
        if head.count("\n") != len(lines) - (not framing) or head.count("\r") != head.count("\n"):
            clean = {name: " ".join(value.split()) for name, value in headers.items()}
            return self._head(status, clean, framing)
        return head.encode("latin-1", "replace")


class _Date:
    """Now as the header `date` says it, made once a second."""

    second = 0
    line = ""
    value = ""


def _date_line() -> str:
    second = int(time.time())
    if second != _Date.second:
        _Date.second = second
        _Date.value = formatdate(second, usegmt=True)
        _Date.line = f"date: {_Date.value}\r\n"
    return _Date.line


def http_date() -> str:
    """Now, as the header `date` says it."""
    _date_line()
    return _Date.value
