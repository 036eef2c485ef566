"""An HTTP/1.1 connection: bounded, one request at a time, answered in order."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol, cast

import httptools

from tenantry.entrypoints.http.wire.exchange import Exchange
from tenantry.entrypoints.http.wire.http2 import HTTP_1_1_REQUIRED, head_without_offer
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.request import Request, origin_form

_NEVER: Final = float("inf")
_NOT_HTTP: Final = "The request is not valid HTTP/1.1."
# Headers that must not come twice: two readers could believe two different ones.
_ONCE: Final = frozenset(
    {
        "host", "authorization", "x-api-key", "content-length", "content-type", "idempotency-key",
        # Beside the application's own, one that its proxy let through from whoever asks it.
        "x-tenantry-user", "x-tenantry-groups", "x-tenantry-run",
    }
)  # fmt: skip


class Application(Protocol):
    """What serves the requests of a connection. `serve` must not raise."""

    async def serve(self, request: Request, exchange: Exchange) -> None: ...

    def refuse(self, status: int, message: str, raw_path: str, exchange: Exchange) -> None:
        """Answers a request that could not be read."""
        ...


class Host(Protocol):
    """What the connections of one listener share."""

    application: Application
    limits: WireLimits
    loop: asyncio.AbstractEventLoop
    connections: set[Connection]
    tasks: set[asyncio.Task[None]]
    held_bytes: int  # of bodies that are read or being read, until they are answered
    finishing: bool  # a successor serves already
    ended: asyncio.Event  # the last connection of one that finishes


class _Broken(Exception):
    """The request cannot be read to its end."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class _Whole:
    """A request that was read to its end and waits for its turn."""

    request: Request
    http11: bool
    keep_alive: bool
    refusal: _Broken | None
    held_bytes: int


class Connection(asyncio.Protocol):
    """Reads requests and hands them on, the next when the last is answered."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._limits = host.limits
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[_Whole] = deque()
        self._exchange: Exchange | None = None
        self._closing = False
        self._unreadable = False  # what comes is no HTTP, and is not looked at any more
        self._full = False  # of answers that the client does not take: no request is begun
        self._last = host.finishing  # no request after the next
        self._deadline = host.loop.time() + host.limits.head_s
        self._unsent_bytes = 0  # when the deadline was set
        self._held_bytes = 0  # of the body that is being read
        self._running_bytes = 0  # of the body whose request is being answered
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._items: list[tuple[str, str]] = []
        self._header_bytes = 0
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._in_head = True
        self._refusal: _Broken | None = None

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
            return
        try:
            self._feed(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, _Broken):
                raise
            self._refuse_now(cause)
        except httptools.HttpParserError:
            if self._parser.get_method() == b"PRI" and self._exchange is None:
                self._require_http11()
            else:
                self._refuse_now(_Broken(400, _NOT_HTTP))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._host.connections.discard(self)
        if not self._host.connections:
            self._host.ended.set()
        self._host.held_bytes -= sum(whole.held_bytes for whole in self._waiting)
        self._waiting.clear()
        self._drop_body()
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
        else:
            self._go_on()

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._begin()
        self._wait_at_most(self._limits.head_s)
        if len(self._waiting) >= self._limits.waiting:
            raise _Broken(503, "Too many requests at once on a connection.")

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._limits.target_bytes:
            raise _Broken(414, "The request target is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        items = self._items
        if (
            self._header_bytes > self._limits.header_bytes
            or len(items) >= self._limits.header_count
        ):
            raise _Broken(431, "The request headers are too large.")
        if not self._in_head:
            return  # a trailer (RFC 9110 §6.5.1): who stands before us strips headers, not these
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        items.append((key, text))
        known = self._headers.get(key)
        if known is None:
            self._headers[key] = text
        elif key in _ONCE:
            self._refusal = _Broken(400, f"The header {key} was sent twice.")
        else:
            self._headers[key] = f"{known},{text}"

    def on_headers_complete(self) -> None:
        headers, limits = self._headers, self._limits
        self._in_head = False
        self._wait_at_most(limits.body_s)
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):  # the parser reads 0.9 and 2.0 as if they were these
            raise _Broken(400, _NOT_HTTP)
        coding = headers.get("transfer-encoding", "chunked").lower()
        if coding != "chunked":  # what was coded before it was chunked, nobody here decodes
            raise _Broken(400, "The only transfer-encoding that is read is chunked.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or len(length) > 18 or int(length) > limits.discard_bytes:
            raise _too_large(limits)
        if int(length) > limits.body_bytes:
            self._refusal = _too_large(limits)
        if self._parser.should_upgrade():
            return  # `_feed` reads it again
        expects = version == "1.1" and headers.get("expect", "").lower() == "100-continue"
        if expects and self._exchange is None:  # of HTTP/1.0 it is ignored (RFC 9110 §10.1.1)
            if self._refusal is not None:
                raise self._refusal
            assert self._transport is not None
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes <= self._limits.body_bytes:
            if self._refusal is None:
                self._keep(body)
            return
        self._drop_body()
        self._refusal = _too_large(self._limits)
        if self._body_bytes > self._limits.discard_bytes:
            raise self._refusal

    def _keep(self, body: bytes) -> None:
        """Holds a piece of the body, unless all bodies together are too much to hold."""
        if not self._body:
            self._body = body  # mostly there is one alone
        else:  # joined at once: chunks of two bytes would take 25 times their size
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body
        if self._body_bytes <= self._limits.small_body_bytes:
            return
        self._held_bytes += len(body)
        self._host.held_bytes += len(body)
        if self._host.held_bytes > self._limits.held_bytes:
            self._drop_body()
            self._refusal = _Broken(503, "Too many large requests at once.")

    def _drop_body(self) -> None:
        self._body = b""
        self._host.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # `_feed` reads it again
        path, _, query = origin_form(self._target).partition(b"?")
        request = Request(
            self._parser.get_method().decode("ascii"),
            path.decode("latin-1"),
            query.decode("latin-1"),
            self._headers,
            self._items,
            bytes(self._body),
        )
        self._body = b""
        held_bytes, self._held_bytes = self._held_bytes, 0
        http11 = self._parser.get_http_version() == "1.1"
        if http11 and "host" not in self._headers:
            self._refusal = _Broken(400, "The header host is missing.")
        keep_alive = http11 and self._parser.should_keep_alive()
        self._wait(_Whole(request, http11, keep_alive, self._refusal, held_bytes))

    # one request at a time

    def _wait(self, whole: _Whole) -> None:
        self._waiting.append(whole)
        if self._exchange is None and not self._full:
            self._next()
        elif self._transport is not None and not self._closing:
            # Read no further than one request ahead. A hang-up is then seen a little later.
            self._transport.pause_reading()

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            if self._parser.get_method() == b"CONNECT":
                self._refuse_now(_Broken(400, "This is no proxy."))
                return
            # The parser takes an offer (Java's client offers h2c) for accepted and skips the body:
            # read the request once more, as if the offer had not been made.
            parser, items = self._parser, self._items
            version = parser.get_http_version()
            head = head_without_offer(parser.get_method(), self._target, version, items)
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(head)

    def _next(self) -> None:
        transport = self._transport
        if self._closing or transport is None:
            return
        if not self._waiting:
            self._set_deadline(self._limits.idle_s)
            return
        whole = self._waiting.popleft()
        request, broken = whole.request, whole.refusal
        self._running_bytes = whole.held_bytes
        self._deadline = _NEVER
        exchange = Exchange(
            transport,
            keep_alive=whole.keep_alive and broken is None and not self._last,
            chunked=whole.http11,
            head_only=request.method == "HEAD",
        )
        self._exchange = exchange
        if broken is not None:
            application = self._host.application
            application.refuse(broken.status, broken.message, request.raw_path, exchange)
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
        self._host.held_bytes -= self._running_bytes
        self._running_bytes = 0
        if self._transport is None:
            return
        if not exchange.keep_alive or not exchange.started:
            self.close()
            return
        if not self._full:
            self._go_on()

    def _go_on(self) -> None:
        """With the next request, whether it is here already or not."""
        if self._transport is not None and not self._closing:
            if not self._unreadable:
                self._transport.resume_reading()
            self._next()

    def _refuse_now(self, broken: _Broken) -> None:
        """Answers what cannot be read to its end, when its turn comes, and closes."""
        if self._transport is None or self._closing:
            return
        self._unreadable = True
        self._drop_body()
        path = origin_form(self._target).partition(b"?")[0].decode("latin-1")
        request = Request("", path, "", {}, (), b"")
        self._wait(_Whole(request, False, False, broken, 0))

    def _require_http11(self) -> None:
        """Tells who begins with HTTP/2, as the AWS SDK for JavaScript does, in HTTP/2."""
        self._unreadable = True
        if self._transport is not None and not self._closing:
            self._transport.write(HTTP_1_1_REQUIRED)
            self.close()

    def _wait_at_most(self, seconds: float) -> None:
        if self._exchange is None:
            self._set_deadline(seconds)

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self._host.loop.time() + seconds
        if self._transport is not None:
            self._unsent_bytes = self._transport.get_write_buffer_size()

    def cut_if_late(self, now: float) -> None:
        """Past its deadline a connection ends, unless its reader is slow but takes its part."""
        if now <= self._deadline or self._transport is None:
            return
        taken = self._unsent_bytes - self._transport.get_write_buffer_size()
        if taken >= self._limits.stall_bytes:
            self._set_deadline(self._limits.stall_s)
        else:
            self._transport.abort()

    def close_if_idle(self) -> None:
        """Before a shutdown: a connection without a request is closed, another after its answer."""
        if self._exchange is None:
            self.close()
        else:
            self._exchange.keep_alive = False

    def finish(self) -> None:
        """Where a successor serves already: the next answer to begin says that it is the last."""
        self._last = True
        if self._exchange is not None and not self._exchange.started:
            self._exchange.keep_alive = False

    def close(self) -> None:
        """Closes once what was written has left, which has a limit too."""
        if self._transport is not None and not self._closing:
            self._closing = True
            unsent = self._transport.get_write_buffer_size()
            self._set_deadline(self._limits.stall_s if unsent else self._limits.close_s)
            self._transport.close()


def _too_large(limits: WireLimits) -> _Broken:
    return _Broken(413, f"The request body is larger than {limits.body_bytes:,} bytes.")
