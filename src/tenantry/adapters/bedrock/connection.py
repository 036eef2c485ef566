"""One HTTP/1.1 connection to an endpoint: a request leaves, its answer comes piece by piece.

Owns: framing, limits of time and size, and whether the connection can serve another request.
Invariants: one request at a time; at most about `BUFFERED_BYTES_MAX` of an answer wait for their
reader; what went wrong is told once the pieces that came before it have been read.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import httptools

from tenantry.domain.record import record
from tenantry.ports.model import FailureKind

HEAD_BYTES_MAX: Final = 65_536  # or of framing at once, between and behind the pieces of a body
BUFFERED_BYTES_MAX: Final = 262_144  # past it nothing is read until the reader has caught up
_NEVER: Final = float("inf")


class ExchangeFailed(Exception):
    """An exchange that gave no response, or not all of it."""

    def __init__(self, kind: FailureKind, maybe_billed: bool, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.maybe_billed = maybe_billed
        self.message = message


@record
class Waits:
    """Limits of one exchange, in seconds: until its head, between two pieces, of the whole."""

    head_s: float
    piece_s: float
    total_s: float


class Connection(asyncio.Protocol):
    """`gone` is called once, when the connection has ended; it may be used no more then."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._lowest: asyncio.Transport | None = None  # below TLS, where bytes wait to leave
        self._parser = httptools.HttpResponseParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _NEVER
        self._waiter: asyncio.Future[None] | None = None
        self._busy = False
        self.idle_since = 0.0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}  # names in lower case
        self._framing_bytes = 0  # that came since the parser told of a head or of a body
        self._head_done = False
        self._complete = False
        self._framed = False  # the answer says where it ends
        self._keep_alive = False
        self._pieces: list[bytes] = []
        self._buffered_bytes = 0
        self._paused = False
        self._failure: ExchangeFailed | None = None
        self._wait_ends = _NEVER
        self._total_ends = _NEVER
        self._piece_s = _NEVER

    # what the exchange calls

    @property
    def usable(self) -> bool:
        """Whether a request can be sent now."""
        transport = self._transport
        return not self._busy and transport is not None and not transport.is_closing()

    async def send(self, request: bytes, waits: Waits) -> None:
        """Sends one request and waits for the head of its answer. Raises `ExchangeFailed`."""
        assert self._transport is not None and not self._busy, "the connection is not usable"
        self._begin_anew()
        self._busy = True
        self._piece_s = waits.piece_s
        self._total_ends = self._loop.time() + waits.total_s
        self._transport.write(request)
        while not self._head_done:
            if self._failure is not None:
                raise self._failure
            await self._wait(waits.head_s)

    async def read(self) -> bytes | None:
        """What has come of the body, None at its end. Raises `ExchangeFailed`."""
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self._complete:
                return None
            await self._wait(self._piece_s)
        pieces = self._pieces
        self._pieces = []
        self._buffered_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def release(self) -> bool:
        """Ends the exchange. True: the connection can serve another one; else it is closed."""
        self._busy = False
        self._stop_timer()
        self._pieces = []
        whole = self._complete and self._failure is None and self._keep_alive and not self._paused
        self._failure = None  # its traceback holds what was sent
        if whole and self.usable:
            self.idle_since = self._loop.time()
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()

    # time

    async def _wait(self, limit_s: float) -> None:
        self._wait_ends = self._loop.time() + limit_s
        ends = min(self._wait_ends, self._total_ends)
        if ends < self._timer_at:  # one that fires too early looks again and goes on
            self._stop_timer()
            self._timer_at = ends
            self._timer = self._loop.call_at(ends, self._look)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._wait_ends = _NEVER

    def _look(self) -> None:
        self._timer, self._timer_at = None, _NEVER
        now = self._loop.time()
        ends = min(self._wait_ends, self._total_ends)
        if now < ends:
            if ends < _NEVER:
                self._timer_at = ends
                self._timer = self._loop.call_at(ends, self._look)
            return
        message = "the answer stalled or took too long" if self._head_done else _NO_HEAD
        self._fail(ExchangeFailed(FailureKind.TIMED_OUT, True, message))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, _NEVER

    def _fail(self, failure: ExchangeFailed) -> None:
        if self._failure is None and not self._complete:
            self._failure = failure
        self.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is of no class of asyncio
        self._transport = self._lowest = cast(asyncio.Transport, transport)

    def secured(self, transport: asyncio.BaseTransport) -> None:
        """TLS was begun; `transport` is what to use from here on."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._busy or self._complete:
            self.abort()  # an answer that nobody asked for
            return
        told = self._head_done, self._buffered_bytes
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(ExchangeFailed(FailureKind.BROKEN, True, "the answer is no HTTP"))
            return
        if told == (self._head_done, self._buffered_bytes) and not self._complete:
            self._framing_bytes += len(data)
            if self._framing_bytes > HEAD_BYTES_MAX:
                self._fail(ExchangeFailed(FailureKind.RUBBISH, True, "the headers are too large"))
                return
        else:
            self._framing_bytes = 0
        if not self._head_done:
            return
        if self._buffered_bytes > BUFFERED_BYTES_MAX and not self._paused:
            assert self._transport is not None
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._stop_timer()
        if self._busy and not self._complete and self._failure is None:
            if self._head_done and not self._framed and exc is None:
                self._complete = True  # such an answer ends with its connection
            else:
                detail = str(exc) if exc is not None else "the connection was closed"
                message = f"the answer broke off: {detail}"
                self._failure = ExchangeFailed(FailureKind.BROKEN, True, message)
        self._wake()

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        held = self.headers.get(key)
        self.headers[key] = text if held is None else f"{held}, {text}"
        if key in ("content-length", "transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        if self._complete:
            self._keep_alive = False  # a second answer: whoever sent it is not to be trusted
            return
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._head_done = True
        else:  # 100 and 103 announce an answer, and are none
            self.headers = {}
            self._framed = False

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return  # of a second answer
        self._pieces.append(body)
        self._buffered_bytes += len(body)

    def on_message_complete(self) -> None:
        if not self._head_done or self._complete:
            return
        self._complete = True
        assert self._lowest is not None
        # Of a request that was answered early, the rest might be taken for requests.
        has_left = self._lowest.get_write_buffer_size() == 0
        self._keep_alive = self._parser.should_keep_alive() and has_left


_NO_HEAD: Final = "no answer began in time"
