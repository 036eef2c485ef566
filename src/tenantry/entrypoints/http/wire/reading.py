"""The reading of a connection's requests, each bounded in bytes, chunks and framing."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Final

import httptools

from tenantry.entrypoints.http.wire.handover import (
    NOT_HTTP,
    Broken,
    Refusal,
    Who,
    Whole,
    body_bytes,
    too_large,
    too_many,
)
from tenantry.entrypoints.http.wire.holding import Held
from tenantry.entrypoints.http.wire.host import Host
from tenantry.entrypoints.http.wire.offer import head_without_offer
from tenantry.entrypoints.http.wire.request import BLANKS, ONCE, Request, origin_form

_EMPTY_LINE: Final = b"\r\n\r\n"
_CHUNK_FRAMING_BYTES: Final = 8  # its size in up to four digits, and two line ends
# What was coded before it was chunked, nobody here decodes.
_CODING: Final = "The only transfer-encoding that is read is chunked."
_FRAMING: Final = "The request has more framing than content."


class Reading(asyncio.Protocol, ABC):
    """Turns bytes into requests. A connection adds when they are answered, and how long each part
    may take."""

    __slots__ = (
        "_asking", "_begun_here", "_body", "_body_bytes", "_chunks", "_come_bytes", "_expects",
        "_granted_at", "_granted_s", "_head", "_header_bytes", "_headers", "_held", "_host",
        "_in_body", "_in_head", "_items", "_last_body", "_limits", "_owner", "_parser",
        "_piece", "_piece_bodies", "_refusal", "_target", "_waiting",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        self._limits = host.limits
        self._host = host
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Whole] = deque()
        self._look_at(b"")
        self._held: Held | None = None  # the body that is being read, once it is large
        self._begin()

    def _look_at(self, piece: bytes) -> None:
        self._piece = piece  # the bytes that are read just now
        self._begun_here = False  # the request that is being read begins in them
        self._piece_bodies = 0  # bytes of bodies in them
        self._last_body = b""  # what came last of these

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._items: list[tuple[str, str]] = []
        self._header_bytes = 0
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._chunks = 0
        self._come_bytes = 0  # in the pieces after the one in which it begins
        self._head = b""  # of a head that is not whole yet, the pieces before this one
        self._in_head = True
        self._in_body = False
        self._granted_s = 0.0  # to the body, beyond `body_s`
        self._granted_at = 0  # bytes of it
        self._refusal: Broken | None = None
        self._owner: str | None = None  # who sends it, once somebody was asked
        self._asking: object | None = None  # while somebody is: a mark of that question
        self._expects = False  # word to go on, which it gets when that is known

    # what a connection adds

    @abstractmethod
    def _wait(self, whole: Whole) -> None:
        """A request was read, or could not be."""

    @abstractmethod
    def _wait_at_most(self, seconds: float) -> None:
        """For the next part of the request."""

    @abstractmethod
    def _tell_to_go_on(self) -> None:
        """The client waits for word before it sends the body."""

    @abstractmethod
    def _address(self) -> str:
        """Where it is sent from."""

    @abstractmethod
    def _refuse_now(self, broken: Broken | Refusal, *, unread: bool = False) -> None:
        """Answers what is not read to its end, when its turn comes. `unread`: more may come of it,
        and is read away, so that the answer is read."""

    @abstractmethod
    def _pause(self) -> None:
        """Nothing more is read until `_read_on`."""

    @abstractmethod
    def _read_on(self) -> None:
        """Where nothing else is waited for."""

    # bytes

    def _feed(self, data: bytes) -> None:
        """Raises `Broken` inside of httptools' error for a callback, or another of its errors."""
        self._look_at(data)
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            if self._parser.get_method() == b"CONNECT":
                raise Broken(400, "This is no proxy.")
            # The parser takes an offer (Java's client offers h2c) for accepted and skips the body:
            # read the request once more, as if the offer had not been made.
            parser, items = self._parser, self._items
            version = parser.get_http_version()
            self._look_at(head_without_offer(parser.get_method(), self._target, version, items))
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(self._piece)
            self._look_at(data)

    def _keep_head(self) -> None:
        """Where it is not whole yet, what this piece has of it."""
        if not self._in_head:
            return
        self._head += self._piece[self._head_at() :]
        if len(self._head) > self._limits.framing_bytes:
            raise Broken(400, _FRAMING)

    def _head_at(self) -> int:
        """Where in the piece the head begins that is not whole yet, or a little before: the parser
        does not tell. All bodies are before it, and so is the last empty line."""
        if not self._begun_here:
            return 0
        last, piece = self._last_body, self._piece
        bodies = self._piece_bodies
        after_body = piece.find(last, bodies - len(last)) + len(last) if last else 0
        line_at = piece.rfind(_EMPTY_LINE)
        return max(bodies, after_body, line_at + len(_EMPTY_LINE) if line_at >= 0 else 0)

    def _count(self, piece: bytes) -> None:
        """Of what comes behind a head the parser tells neither a chunk's extensions nor a field
        behind a body before its end, and all of that field it keeps. Where a request begins, most
        may be of the one before it."""
        if self._begun_here:
            return
        self._come_bytes += len(piece)
        due = 2 * self._body_bytes + _CHUNK_FRAMING_BYTES * self._chunks
        if self._come_bytes > self._limits.framing_bytes + due:
            raise Broken(400, _FRAMING)

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._begin()
        self._begun_here = True
        self._wait_at_most(self._limits.head_s)
        if len(self._waiting) >= self._limits.waiting:
            raise Broken(503, "Too many requests at once on a connection.")

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._limits.target_bytes:
            raise Broken(414, "The request target is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        items = self._items
        if (
            self._header_bytes > self._limits.header_bytes
            or len(items) >= self._limits.header_count
        ):
            raise Broken(431, "The request headers are too large.")
        if not self._in_head:
            return  # a trailer (RFC 9110 §6.5.1): who stands before us strips headers, not these
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip(BLANKS)
        if key == "transfer-encoding" and value.lower() != b"chunked":
            raise Broken(400, _CODING)  # as it came: whoever stands before us reads that too
        items.append((key, text))
        known = self._headers.get(key)
        if known is None:
            self._headers[key] = text
        elif key in ONCE:
            self._refusal = Broken(400, f"The header {key} was sent twice.")
        else:
            self._headers[key] = f"{known},{text}"

    def on_headers_complete(self) -> None:
        headers, limits = self._headers, self._limits
        self._in_head, self._in_body = False, True
        self._wait_at_most(limits.body_s)
        version = self._parser.get_http_version()
        # The parser reads 0.9 and 2.0, RTSP and ICE as if they were these.
        if version not in ("1.0", "1.1") or not self._speaks_http():
            raise Broken(400, NOT_HTTP)
        self._head = b""
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":  # it came twice
            raise Broken(400, _CODING)
        length = headers.get("content-length")
        if length is not None and body_bytes(length, limits) > limits.body_bytes:
            self._refusal = too_large(limits)
        if self._parser.should_upgrade():
            return  # `_feed` reads it again
        if version == "1.1" and headers.get("expect", "").lower() == "100-continue":
            # Of HTTP/1.0 it is ignored (RFC 9110 §10.1.1).
            large = length is not None and int(length) > limits.small_body_bytes
            if large and self._refusal is None and self._host.who is not None:
                self._expects = True  # who it is, is asked before it sends anything
            else:
                self._tell_to_go_on()

    def _speaks_http(self) -> bool:
        line = b" " + self._target + b" HTTP/1."
        return self._piece.find(line) >= 0 or (self._head + self._piece).find(line) >= 0

    def on_chunk_header(self) -> None:
        self._chunks += 1
        limits = self._limits
        if self._chunks > limits.chunks + self._body_bytes // limits.chunk_bytes:
            raise Broken(400, "The request body comes in too many small chunks.")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._piece_bodies += len(body)
        self._last_body = body
        if self._body_bytes <= self._limits.body_bytes:
            if self._refusal is None:
                self._keep(body)
            return
        self._drop_body()
        self._refusal = too_large(self._limits)
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
        holdings = self._host.holdings
        if self._held is None:
            self._held = holdings.begin(self._address(), self._give_way)
            self._held.owner = self._owner
        if not holdings.add(self._held, len(body)):
            self._drop_body()
            self._refusal = too_many()

    def _drop_body(self) -> None:
        self._body = b""
        held, self._held = self._held, None
        if held is not None:
            self._host.holdings.end(held)

    def _give_way(self) -> None:
        """To another's body, where there is not room for both."""
        self._refuse_now(too_many(), unread=True)

    # who sends it

    def _ask_of_a_large_body(self) -> None:
        """Who asks, before more is kept of it. Of one that is whole it is asked with all else."""
        if self._owner is not None or not self._in_body or self._asking is not None:
            return
        if self._refusal is not None or not (self._expects or self._held is not None):
            return
        who = self._host.who
        if who is None:
            return
        asking = self._asking = object()
        self._pause()
        task = self._host.loop.create_task(self._hear(who, self._request(b""), asking))
        self._host.tasks.add(task)
        task.add_done_callback(self._host.tasks.discard)

    async def _hear(self, who: Who, head: Request, asking: object) -> None:
        answer = await who(head)
        if self._asking is not asking:  # it has ended, or was refused, meanwhile
            self._read_on()
            return
        self._asking = None
        if not isinstance(answer, str):
            self._refuse_now(answer, unread=True)
            return
        self._owner = answer
        if self._held is not None and not self._host.holdings.name(self._held, answer):
            self._refuse_now(too_many(), unread=True)
            return
        if self._expects and self._refusal is None:
            self._tell_to_go_on()
        self._read_on()

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # `_feed` reads it again
        self._in_body = False
        self._asking = None
        request = self._request(bytes(self._body))
        self._body = b""
        held, self._held = self._held, None
        if held is not None:
            self._host.holdings.whole(held)
        http11 = self._parser.get_http_version() == "1.1"
        if http11 and "host" not in self._headers:
            self._refusal = Broken(400, "The header host is missing.")
        keep_alive = http11 and self._parser.should_keep_alive()
        self._wait(Whole(request, http11, keep_alive, self._refusal, held))

    def _request(self, body: bytes) -> Request:
        path, _, query = origin_form(self._target).partition(b"?")
        return Request(
            self._parser.get_method().decode("ascii"),
            path.decode("latin-1"),
            query.decode("latin-1"),
            self._headers,
            self._items,
            body,
        )
