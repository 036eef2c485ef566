"""An HTTP/1.1 connection on httptools: bounded, patient with nobody, one request at a time.

granian was tried first: its RSGI scope gives `path` decoded, so `%2F` inside an ARN and `/` between
segments become the same and no signature over the raw path can be verified.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections import deque
from typing import cast

import httptools

from bedrock_emulator.wire.exchange import Exchange, Request
from bedrock_emulator.wire.h2c import head_without_offer
from bedrock_emulator.wire.http2.connection import PREFACE, Http2Connection
from bedrock_emulator.wire.serving import REFUSALS, Server


class Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool, int]] = deque()
        self._exchange: Exchange | None = None
        self._from_loopback = False
        self._closing = False
        self._half_closed = False
        self._unreadable: tuple[int, str] | None = None  # what comes after the running requests
        self._first: bytes | None = b""  # until it is known which HTTP the client speaks
        self._deadline = server.loop.time() + self._limits.idle_s
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._header_count = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._refusal = 0  # the status that a request which broke a limit will get

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio transports by behaviour, not by class.
        self._transport = transport = cast(asyncio.Transport, transport)
        if len(self._server.connections) >= self._limits.connections:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        peer = transport.get_extra_info("peername")
        self._from_loopback = bool(peer) and ipaddress.ip_address(peer[0]).is_loopback
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._unreadable is not None:
            return
        if self._first is not None:
            self._first += data
            if self._first.startswith(PREFACE):
                self._go_on_in_http2(self._first)
                return
            if PREFACE.startswith(self._first):
                return
            data, self._first = self._first, None
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse_now(400, "The request is not valid HTTP.")

    def _go_on_in_http2(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._server.connections.discard(self)
        connection = Http2Connection(self._server, from_loopback=self._from_loopback)
        transport.set_protocol(connection)
        connection.take_over(transport, data)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            if self._parser.get_method() == b"CONNECT":
                self._refuse_now(400, "This is no proxy.")
                return
            # The parser takes an offer (Java's client offers h2c) for accepted and skips the body:
            # read the request once more, as if the offer had not been made.
            parser = self._parser
            head = head_without_offer(
                parser.get_method(), self._target, parser.get_http_version(), self._headers
            )
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._waiting.clear()
        if self._exchange is not None:
            self._exchange.client_left()
        self._transport = None

    def eof_received(self) -> bool:
        """Answers a client that has only closed its sending half, where that can be.

        One that has left looks the same until something is written to it. So whoever closes while
        a rule lets the answer wait has left, and so has everyone over TLS.
        """
        transport, exchange = self._transport, self._exchange
        if transport is None or exchange is None or exchange.waiting:
            return False
        if transport.get_extra_info("sslcontext") is not None:
            return False
        self._half_closed = exchange.half_closed = True
        return True

    def pause_writing(self) -> None:
        self._deadline = self._server.loop.time() + self._limits.stall_s
        if self._exchange is not None:
            self._exchange.pause_writing()

    def resume_writing(self) -> None:
        self._deadline = float("inf")
        if self._exchange is not None:
            self._exchange.resume_writing()

    # httptools callbacks
    def on_message_begin(self) -> None:
        self._begin()
        if self._exchange is None:
            self._deadline = self._server.loop.time() + self._limits.request_s

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._limits.target_bytes:
            self._target = b"/"
            self._refusal = 414

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        self._header_count += 1
        limits = self._limits
        if self._header_bytes > limits.header_bytes or self._header_count > limits.header_count:
            self._refusal = 431
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known},{text}"

    def on_headers_complete(self) -> None:
        length = self._headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._limits.body_bytes:
            self._refusal = 413
            if int(length) > self._limits.discard_bytes:
                self._refuse_now(413, "")
                return
        if self._parser.should_upgrade():
            return  # `_feed` reads it again
        expects = self._headers.get("expect", "").lower() == "100-continue"
        if expects and self._exchange is None and self._transport is not None:
            if self._refusal:
                self._refuse_now(self._refusal, "")
            else:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._refusal = 413
            self._body.clear()
            if self._body_bytes > self._limits.discard_bytes:
                self._refuse_now(413, "")
        elif not self._refusal:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # `_feed` reads it again
        self._take_absolute_form()
        path, _, query = self._target.partition(b"?")
        request = Request(
            method=self._parser.get_method().decode("ascii"),
            raw_path=path.decode("latin-1"),
            raw_query=query.decode("latin-1"),
            headers=self._headers,
            body=self._body[0] if len(self._body) == 1 else b"".join(self._body),
            from_loopback=self._from_loopback,
            http_1_0=self._parser.get_http_version() == "1.0",
        )
        self._body = []
        if len(self._waiting) >= self._limits.pipelined:
            self._refuse_now(400, "Too many pipelined requests.")
            return
        self._waiting.append((request, self._parser.should_keep_alive(), self._refusal))
        if self._exchange is None:
            self._next()

    def _take_absolute_form(self) -> None:
        """Of `http://host/path`, host and path (RFC 9112, 3.2.2)."""
        found = _ABSOLUTE_FORM.match(self._target)
        if found is not None:
            self._headers["host"] = found[1].decode("latin-1")
            rest = self._target[found.end() :]
            self._target = rest if rest.startswith(b"/") else b"/" + rest

    # one request at a time
    def _next(self) -> None:
        if self._closing:
            return
        if not self._waiting and self._unreadable is not None:
            self._refuse_now(*self._unreadable)
            return
        if not self._waiting and self._half_closed:
            self.close()
            return
        if not self._waiting or self._transport is None:
            self._deadline = self._server.loop.time() + self._limits.idle_s
            return
        request, keep_alive, refusal = self._waiting.popleft()
        self._deadline = float("inf")
        exchange = Exchange(
            self._transport,
            keep_alive=keep_alive and not refusal and request.method != "HEAD",
            chunked=not request.http_1_0,
        )
        exchange.half_closed = self._half_closed
        self._exchange = exchange
        if refusal:
            self._server.refuse(refusal, *REFUSALS[refusal], exchange)
            self._done(exchange)
            return
        self._server.spawn(self._run(request, exchange))

    async def _run(self, request: Request, exchange: Exchange) -> None:
        try:
            await self._server.handle(request, exchange)
        finally:
            self._done(exchange)

    def _done(self, exchange: Exchange) -> None:
        self._exchange = None
        if exchange.keep_alive and exchange.started:
            self._next()
        else:
            self.close()

    def _refuse_now(self, status: int, message: str) -> None:
        """Answers a request that cannot be read to its end, after those before it; and closes."""
        if self._transport is None or self._closing:
            return
        if self._exchange is not None:
            self._unreadable = (status, message)
            self._transport.pause_reading()
            return
        exchange = Exchange(self._transport, keep_alive=False, chunked=False)
        name, known = REFUSALS[status]
        self._server.refuse(status, name, message or known, exchange)
        self.close()

    def cut_if_late(self, now: float) -> None:
        if now > self._deadline and self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Closes once what was written has left, which has a limit too."""
        if self._transport is not None and not self._closing:
            self._closing = True
            self._deadline = self._server.loop.time() + self._limits.close_s
            self._transport.close()


_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)
