"""The writing of one stream's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from hpack import HeaderTuple, NeverIndexedHeaderTuple

from tenantry.entrypoints.http.wire.exchange import WITHOUT_LENGTH, http_date
from tenantry.entrypoints.http.wire.http2.head import OF_A_CONNECTION
from tenantry.entrypoints.http.wire.http2.patience import Patience
from tenantry.entrypoints.http.wire.outgoing import LargeAnswer

if TYPE_CHECKING:
    from tenantry.entrypoints.http.wire.http2.sending import Sending

# What many answers have alike. The rest would fill the table in which each header is searched.
_ALIKE: Final = frozenset({"content-type", "x-tenantry-tenant"})
_NOT_COPIED: Final = OF_A_CONNECTION | {"content-length", "date"}


class StreamExchange:
    """Writes one answer. Once the client has gone every write does nothing and `gone` is true."""

    __slots__ = (
        "_on_gone", "_sending", "_taken", "broken", "bytes_sent", "ended", "gone", "head_only",
        "last", "outgoing", "patience", "queued", "started", "status", "stream_id",
    )  # fmt: skip

    def __init__(self, sending: Sending, stream_id: int, *, head_only: bool) -> None:
        self._sending = sending
        self._on_gone: Callable[[], None] | None = None
        self._taken: asyncio.Event | None = None  # while a piece waits for its reader
        self.stream_id = stream_id
        self.head_only = head_only
        self.outgoing: LargeAnswer | None = None  # what its client has yet to take
        self.last = False  # nothing comes after that
        self.queued = False
        self.bytes_sent = 0
        self.patience = Patience()
        self.started = False
        self.ended = False  # the client was told that this was all
        self.broken = False
        self.gone = False
        self.status = 0

    def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer at once. What cannot be sent of it at once is sent as it is taken."""
        if self.gone:
            return
        length = None if status in WITHOUT_LENGTH else len(body)
        self.last = True
        empty = self.head_only or not body
        self._begin(status, headers, length, empty)
        if empty:
            self._sending.flush()
        else:
            self._sending.begin(self, body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers of a streamed answer, sent at once."""
        if not self.gone:
            self._begin(status, headers, None, False)
            self._sending.flush()

    async def send(self, data: bytes) -> None:
        """One piece of a streamed answer; waits while the reader is slow."""
        if self.gone or not data:
            return
        self._sending.begin(self, data)
        while self.outgoing is not None and not self.gone:
            if self._taken is None:
                self._taken = asyncio.Event()
            await self._taken.wait()

    def finish(self) -> None:
        """Ends a streamed answer."""
        if not self.gone:
            self.last = True
            self._sending.end(self)

    def cut(self) -> None:
        """Ends a streamed answer that cannot be ended well: the client sees it was cut."""
        self.broken = True

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
        self._sending.forget(self)
        self.piece_taken()
        if self._on_gone is not None:
            self._on_gone()

    def piece_taken(self) -> None:
        if self._taken is not None:
            self._taken.set()
            self._taken = None

    def _begin(
        self, status: int, headers: Mapping[str, str], length: int | None, end: bool
    ) -> None:
        self.started = True
        self.status = status
        fields = [
            HeaderTuple(b":status", b"%d" % status),
            HeaderTuple(b"date", http_date().encode("ascii")),
        ]
        if length is not None:
            fields.append(NeverIndexedHeaderTuple(b"content-length", b"%d" % length))
        for name, value in headers.items():
            key = name.lower()
            if key not in _NOT_COPIED:
                # A line break inside a value would be read as one by who passes it on.
                text = " ".join(value.split()) if "\n" in value or "\r" in value else value.strip()
                make = HeaderTuple if key in _ALIKE else NeverIndexedHeaderTuple
                fields.append(
                    make(key.encode("latin-1", "replace"), text.encode("latin-1", "replace"))
                )
        self._sending.head(self, fields, end)
