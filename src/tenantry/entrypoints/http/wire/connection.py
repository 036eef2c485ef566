"""An HTTP/1.1 connection: bounded, one request at a time, answered in order.

Who begins with HTTP/2's preface gets a connection of that from there on, in clear and behind TLS.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import httptools

from tenantry.entrypoints.http.wire.exchange import Exchange
from tenantry.entrypoints.http.wire.handover import NOT_HTTP, Broken, Refusal, Whole
from tenantry.entrypoints.http.wire.holding import Held, address_of
from tenantry.entrypoints.http.wire.host import Host
from tenantry.entrypoints.http.wire.http2.connection import Http2Connection
from tenantry.entrypoints.http.wire.http2.protocol import PREFACE, PREFACE_END
from tenantry.entrypoints.http.wire.outgoing import LargeAnswer
from tenantry.entrypoints.http.wire.reading import Reading
from tenantry.entrypoints.http.wire.request import Request, origin_form

_NEVER: Final = float("inf")
# uvloop reads a connection whose bytes come fast 32 times, up to 8 MB, before it looks at others.
_TURN_BYTES: Final = 65_536


class Connection(Reading):
    """Reads requests and hands them on, the next when the last is answered."""

    __slots__ = (
        "_ahead", "_away_bytes", "_away_until", "_closing", "_deadline", "_exchange", "_fresh",
        "_full", "_large", "_last", "_running", "_said_all", "_transport", "_unread",
        "_unreadable", "_unsent_bytes",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._large: LargeAnswer | None = None  # what its client has yet to take of an answer
        self._fresh = True  # no request has come yet
        self._closing = False
        self._unreadable = False  # what comes is no HTTP, and is not looked at any more
        self._full = False  # of answers that the client does not take: no request is begun
        self._ahead = False  # a request was read before its turn: no more is read
        self._said_all = False  # the client sends no more, and may read still
        self._last = host.finishing  # no request after the next
        self._deadline = host.loop.time() + host.limits.head_s
        self._unsent_bytes = 0  # when the deadline was set
        self._running: Held | None = None  # the body whose request is being answered
        self._unread = False  # more comes of a body that was refused, and is read away
        self._away_bytes = 0  # so much, once it was answered
        self._away_until = _NEVER  # and so long

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._host.connections) >= self._limits.connections:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        self._host.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._unreadable:
            if self._unread and self._closing:
                self._read_away(len(data))
            return
        try:
            self._feed(data)
            self._keep_head()
            self._ask_of_a_large_body()
            self._count(data)
            if len(data) >= _TURN_BYTES:
                self._let_others()
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, Broken):
                raise
            self._refuse_now(cause)
        except httptools.HttpParserError:
            if not (self._fresh and self._speak_http2()):
                self._refuse_now(Broken(400, NOT_HTTP))
        except Broken as broken:
            self._refuse_now(broken)
        self._look_at(b"")

    def _let_others(self) -> None:
        """Reads on when they had their turn."""
        if self._transport is not None:
            self._pause()
            self._host.loop.call_soon(self._read_on)

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _address(self) -> str:
        return address_of(self._transport)

    def eof_received(self) -> bool:
        """Of a client that may still wait for its answer. One that leaves in the middle of a
        stream cannot be told from it, and is taken to have gone; TLS has no such state."""
        if self._transport is None:
            return False
        if _secure(self._transport):
            if self._large is not None:
                self.close()
            return False
        self._said_all = True
        if self._exchange is not None:
            return not self._exchange.started
        return self._large is not None or bool(self._waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._host.connections.discard(self)
        if not self._host.connections:
            self._host.ended.set()
        for whole in self._waiting:
            if whole.held is not None:
                self._host.holdings.end(whole.held)
        self._waiting.clear()
        self._asking = None
        self._drop_body()
        if self._large is not None:
            self._host.unsent.end(self._large)
        if self._exchange is not None:
            self._exchange.client_left()

    def pause_writing(self) -> None:
        self._full = True
        self._set_deadline(self._limits.stall_s)
        if self._exchange is not None:
            self._exchange.pause_writing()

    def resume_writing(self) -> None:
        self._full = False
        if self._exchange is not None:
            self._deadline = _NEVER
            self._exchange.resume_writing()
        elif self._large is not None:
            self._send_large(self._large)
        else:
            self._go_on()

    # one request at a time

    def _idle(self) -> bool:
        """Nothing is answered, or waits for it: what is written now is in nobody's way."""
        return self._exchange is None and self._large is None and not self._waiting

    def _tell_to_go_on(self) -> None:
        if self._idle():
            if self._refusal is not None:
                raise self._refusal
            if self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _wait(self, whole: Whole) -> None:
        self._fresh = False
        idle = self._idle()
        self._waiting.append(whole)
        if idle and not self._full:
            self._next()
        elif self._transport is not None and not self._closing:
            # Read no further than one request ahead. A hang-up is then seen a little later.
            self._ahead = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._ahead or self._unreadable or self._said_all or self._asking is not None:
            return
        if self._transport is not None and not self._closing:
            self._transport.resume_reading()

    def _next(self) -> None:
        transport = self._transport
        if self._closing or transport is None:
            return
        if not self._waiting:
            if self._said_all:
                self.close()
            else:
                self._set_deadline(self._limits.idle_s)
            return
        whole = self._waiting.popleft()
        request, broken = whole.request, whole.refusal
        self._running = whole.held
        self._deadline = _NEVER
        exchange = Exchange(
            transport,
            keep_alive=whole.keep_alive and broken is None and not self._last,
            chunked=whole.http11,
            head_only=request.method == "HEAD",
        )
        self._exchange = exchange
        if broken is not None:
            if isinstance(broken, Broken):
                application = self._host.application
                application.refuse(broken.status, broken.message, request.raw_path, exchange)
            else:
                broken(exchange)
            self._done(exchange)
            return
        task = self._host.loop.create_task(self._run(request, exchange))
        self._host.tasks.add(task)
        task.add_done_callback(self._host.tasks.discard)

    async def _run(self, request: Request, exchange: Exchange) -> None:
        try:
            await self._host.application.serve(request, exchange)
        finally:
            self._done(exchange)

    def _done(self, exchange: Exchange) -> None:
        self._exchange = None
        held, self._running = self._running, None
        if held is not None:
            self._host.holdings.end(held)
        if self._transport is None:
            return
        last = not exchange.keep_alive or not exchange.started
        if exchange.large is not None:
            now = self._host.loop.time()
            self._large = self._host.unsent.begin(exchange.large, last, now, self.cut)
            self._send_large(self._large)
        elif last:
            self.close()
        elif not self._full:
            self._go_on()

    def _send_large(self, large: LargeAnswer) -> None:
        """As much as the client takes; what comes after it once all was taken."""
        if self._transport is None or self._closing:
            return
        while not self._full:
            piece = large.piece()
            if not piece:
                break
            self._transport.write(piece)
        if large.left:
            return
        self._host.unsent.end(large)
        self._large = None
        if large.last:
            self.close()
        elif not self._full:
            self._go_on()

    def _go_on(self) -> None:
        """With the next request, whether it is here already or not."""
        if self._transport is not None and not self._closing:
            self._ahead = False
            self._read_on()
            self._next()

    def _refuse_now(self, broken: Broken | Refusal, *, unread: bool = False) -> None:
        self._drop_body()
        if self._transport is None or self._closing:
            return
        self._unreadable = True
        self._unread = unread
        self._in_body = False
        self._asking = None
        path = origin_form(self._target).partition(b"?")[0].decode("latin-1")
        request = Request("", path, "", {}, (), b"")
        self._wait(Whole(request, False, False, broken, None))

    def _speak_http2(self) -> bool:
        """From here on, where what came is HTTP/2's preface. The parser knows it, and ends at its
        last byte or at the first that is wrong; of earlier pieces the end is there alone."""
        before, end, rest = (self._head + self._piece).partition(PREFACE_END)
        known = self._parser.get_method() == b"PRI" and end and PREFACE.endswith(before + end)
        transport = self._transport
        if not known or transport is None or self._closing:
            return False
        self._unreadable = True
        self._transport = None
        self._host.connections.discard(self)
        successor = Http2Connection(self._host)
        transport.set_protocol(successor)
        successor.connection_made(transport)
        successor.data_received(rest)
        return True

    # deadlines

    def _wait_at_most(self, seconds: float) -> None:
        if self._exchange is None:
            self._set_deadline(seconds)

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self._host.loop.time() + seconds
        if self._transport is not None:
            self._unsent_bytes = self._transport.get_write_buffer_size()

    def cut_if_late(self, now: float) -> None:
        """Past its deadline a connection ends, unless its reader is slow but takes its part, or
        its sender is slow but sends it. A large answer has a deadline of its own beside."""
        if self._transport is None:
            return
        if self._large is not None and now > self._large.until:
            self.cut()
        elif now <= self._deadline:
            return
        elif self._unread and self._closing:
            self._end_reading_away()
        elif self._in_body and self._exchange is None and not self._full:
            self._body_is_late()
        elif (
            self._unsent_bytes - self._transport.get_write_buffer_size() >= self._limits.stall_bytes
        ):
            self._set_deadline(self._limits.stall_s)
        elif not (self._closing or self._full or self._exchange or self._large):
            self.close()  # between requests, so that a client over TLS is told
        else:
            self.cut()

    def _body_is_late(self) -> None:
        limits = self._limits
        more_s = min(limits.stall_s, limits.body_most_s - limits.body_s - self._granted_s)
        if more_s > 0 and self._body_bytes - self._granted_at >= limits.stall_bytes:
            self._granted_s += more_s
            self._granted_at = self._body_bytes
            self._set_deadline(more_s)
        else:
            self._refuse_now(Broken(408, "The request body did not come in time."))

    def close_if_idle(self) -> None:
        """Before a shutdown: a connection without a request is closed, another after its answer."""
        if self._exchange is not None:
            self._exchange.keep_alive = False
        elif self._large is not None:
            self._large.last = True
        elif self._unread and self._closing:
            self._end_reading_away()
        else:
            self.close()

    def owes(self) -> bool:
        """Its client has yet to take some of an answer."""
        if self._transport is None:
            return False
        return self._large is not None or self._transport.get_write_buffer_size() > 0

    def finish(self) -> None:
        """Where a successor serves already: the next answer to begin says that it is the last."""
        self._last = True
        if self._exchange is not None and not self._exchange.started:
            self._exchange.keep_alive = False

    def close(self) -> None:
        """Closes once what was written has left, which has a limit too."""
        if self._transport is not None and not self._closing:
            self._closing = True
            if self._unread and not self._said_all:
                self._away_until = self._host.loop.time() + self._limits.stall_s
                self._transport.resume_reading()
                self._read_away(0)
                return
            if self._large is not None:  # counted on, until the connection is lost
                self._transport.write(self._large.rest())
            # TLS does not say what is unsent below it.
            unsent = _secure(self._transport) or self._transport.get_write_buffer_size() > 0
            self._set_deadline(self._limits.stall_s if unsent else self._limits.close_s)
            self._transport.close()

    def _read_away(self, count: int) -> None:
        """What still comes of a body that was answered: a socket that was closed by then would
        answer with a reset, and the answer be lost."""
        self._away_bytes += count
        left_s = self._away_until - self._host.loop.time()
        self._set_deadline(min(self._limits.close_s, left_s))
        if self._away_bytes > self._limits.discard_bytes:
            self._end_reading_away()

    def _end_reading_away(self) -> None:
        self._unread = self._closing = False
        self.close()

    def cut(self) -> None:
        """Ends at once, whatever has not left."""
        if self._large is not None:
            self._host.unsent.end(self._large)
        if self._transport is not None:
            self._closing = True
            self._transport.abort()


def _secure(transport: asyncio.Transport) -> bool:
    return transport.get_extra_info("sslcontext") is not None
