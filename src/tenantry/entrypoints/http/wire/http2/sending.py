"""What a connection sends: frames of all its streams by turns, as windows and transport let it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from tenantry.entrypoints.http.wire.host import Host
from tenantry.entrypoints.http.wire.http2 import budget
from tenantry.entrypoints.http.wire.http2.budget import Budget
from tenantry.entrypoints.http.wire.http2.exchange import StreamExchange
from tenantry.entrypoints.http.wire.http2.frames import FRAME_BYTES
from tenantry.entrypoints.http.wire.outgoing import LargeAnswer

# Before other connections have their turn: a client may take all at once.
_TURN_BYTES: Final = 262_144


class Sending:
    """Tells `ended` of each stream whose answer has left."""

    __slots__ = ("_budget", "_due", "_ended", "_h2", "_host", "_queue", "full", "transport")

    def __init__(
        self, h2: H2Connection, host: Host, budget: Budget, ended: Callable[[int], None]
    ) -> None:
        self._h2 = h2
        self._host = host
        self._budget = budget
        self._ended = ended
        self._queue: deque[StreamExchange] = deque()  # whose windows may be open
        self._due = False  # goes on when others had their turn
        self.full = False  # of what the client does not take
        self.transport: asyncio.Transport | None = None  # None once it has gone

    def flush(self) -> None:
        """Hands on what h2 made: heads, and answers to control frames."""
        if self.transport is not None:
            data = self._h2.data_to_send()
            if data:
                self.transport.write(data)

    def head(
        self, exchange: StreamExchange, fields: Sequence[tuple[bytes, bytes]], end: bool
    ) -> None:
        try:
            self._h2.send_headers(exchange.stream_id, fields, end_stream=end)
        except ProtocolError:
            exchange.client_left()
            return
        if end:
            self._end(exchange)

    def begin(self, exchange: StreamExchange, body: bytes) -> None:
        """A body, or a piece of one. What cannot leave at once is held until it does."""
        now, limits = self._host.loop.time(), self._host.limits
        until = now + limits.stall_s + len(body) / limits.reader_bytes_per_s
        stream_id = exchange.stream_id

        def cut() -> None:
            self.reset(exchange, ErrorCodes.CANCEL)
            self._ended(stream_id)

        outgoing = exchange.outgoing = LargeAnswer(body, exchange.last, now, until, cut)
        self.enqueue(exchange)
        self.pump()
        if exchange.outgoing is outgoing:
            exchange.patience.wait(now)
            self._host.unsent.count(outgoing, now)

    def enqueue(self, exchange: StreamExchange) -> None:
        """Looks at its window once more."""
        if exchange.outgoing is not None and not exchange.queued:
            exchange.queued = True
            self._queue.append(exchange)

    def pump(self) -> None:
        """As much as may be sent, a frame of each stream at a time."""
        queue, h2, left_bytes = self._queue, self._h2, _TURN_BYTES
        while queue and not self._due and not self.full and h2.outbound_flow_control_window > 0:
            exchange = queue.popleft()
            exchange.queued = False
            before = exchange.bytes_sent
            if self._advance(exchange):
                self.enqueue(exchange)
            self.flush()
            left_bytes -= exchange.bytes_sent - before
            if left_bytes <= 0:
                self._due = True
                self._host.loop.call_soon(self._pump_on)
        self.flush()

    def _pump_on(self) -> None:
        self._due = False
        if self.transport is not None:
            self.pump()

    def _advance(self, exchange: StreamExchange) -> bool:
        """One frame more. False where nothing is left to send, or its window is used up."""
        outgoing = exchange.outgoing
        if outgoing is None or exchange.gone:
            return False
        try:
            window = self._h2.local_flow_control_window(exchange.stream_id)
            if window <= 0:
                return False
            piece = outgoing.piece(min(window, FRAME_BYTES))
            end = outgoing.left == 0 and exchange.last
            self._h2.send_data(exchange.stream_id, piece, end_stream=end)
        except ProtocolError:
            exchange.client_left()
            return False
        exchange.bytes_sent += len(piece)
        if outgoing.left:
            if len(piece) == FRAME_BYTES:
                self._budget.earn(budget.SENT)
            return True
        self._budget.earn(budget.SENT)
        self._host.unsent.end(outgoing)
        exchange.outgoing = None
        exchange.patience.go_on(self._host.loop.time())
        exchange.piece_taken()
        if end:
            self._end(exchange)
        return False

    def end(self, exchange: StreamExchange) -> None:
        """Of an answer whose pieces were all taken."""
        try:
            self._h2.end_stream(exchange.stream_id)
        except ProtocolError:
            exchange.client_left()
            return
        self._end(exchange)
        self.flush()

    def _end(self, exchange: StreamExchange) -> None:
        exchange.ended = True
        self._ended(exchange.stream_id)

    def reset(self, exchange: StreamExchange, code: ErrorCodes) -> None:
        """Ends a stream before its time."""
        self.refuse(exchange.stream_id, code)
        exchange.client_left()

    def refuse(self, stream_id: int, code: ErrorCodes) -> None:
        """RST_STREAM, where the stream is open still."""
        try:
            self._h2.reset_stream(stream_id, code)
        except ProtocolError:
            return
        self.flush()

    def forget(self, exchange: StreamExchange) -> None:
        """Nothing more of it is sent."""
        if exchange.outgoing is not None:
            self._host.unsent.end(exchange.outgoing)
            exchange.outgoing = None
