"""The streams of a connection: how each becomes a request, and when it counts no more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, TrailersReceived
from h2.exceptions import ProtocolError

from tenantry.entrypoints.http.wire.handover import Broken, Refusal, Who, too_many
from tenantry.entrypoints.http.wire.holding import address_of
from tenantry.entrypoints.http.wire.host import Host
from tenantry.entrypoints.http.wire.http2 import budget
from tenantry.entrypoints.http.wire.http2.budget import Budget
from tenantry.entrypoints.http.wire.http2.exchange import StreamExchange
from tenantry.entrypoints.http.wire.http2.head import NOT_HTTP2, are_fields, read_head, size_of
from tenantry.entrypoints.http.wire.http2.incoming import LATE, Incoming, Shelf
from tenantry.entrypoints.http.wire.http2.sending import Sending
from tenantry.entrypoints.http.wire.request import Request

_CONTINUE: Final = ((b":status", b"100"),)


@dataclass(slots=True)
class Stream:
    incoming: Incoming
    exchange: StreamExchange
    reading: bool = True  # more of its request is to come
    running: bool = False  # somebody is at its answer
    asked: bool = False  # who sends it
    asking: bool = False
    expects: bool = False  # word to go on, which it gets when that is known
    owed_bytes: int = 0  # of its window, meanwhile

    @property
    def unread(self) -> bool:
        """Nothing was done with it yet."""
        return self.reading and not self.running and not self.exchange.started


class Streams:
    """Tells `idle` when the last has ended. One that its client has reset counts until its task
    has ended: a hang-up ends neither the work nor its billing."""

    __slots__ = ("_budget", "_h2", "_host", "_idle", "_sending", "_shelf", "accepts", "open")

    def __init__(
        self,
        host: Host,
        h2: H2Connection,
        sending: Sending,
        budget: Budget,
        idle: Callable[[], None],
    ) -> None:
        self._host = host
        self._h2 = h2
        self._sending = sending
        self._budget = budget
        self._idle = idle
        self._shelf = Shelf(host, lambda: address_of(sending.transport))
        self.open: dict[int, Stream] = {}
        self.accepts = True

    # what comes

    def begin(self, event: RequestReceived, packed: int) -> None:
        """`packed` is what was spent for its head before it was unpacked: the larger one counts."""
        stream_id, host = event.stream_id, self._host
        size = size_of(event.headers)
        cost = max(packed, size // budget.PART_BYTES)
        self._budget.spend(cost - packed)
        if not self.accepts or len(self.open) >= host.limits.streams:
            self._sending.refuse(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        head = read_head(event.headers, host.limits)
        until = host.loop.time() + host.limits.body_s
        give_way = partial(self._give_way, stream_id)
        incoming = Incoming(head, size, cost, self._shelf, until, give_way)
        exchange = StreamExchange(self._sending, stream_id, head_only=head.method == "HEAD")
        stream = self.open[stream_id] = Stream(incoming, exchange)
        if event.stream_ended is not None:
            return  # which is the next event
        expects = head.headers.get("expect", "").lower() == "100-continue"
        if incoming.refusal is None:
            if expects and head.length is not None and head.length > host.limits.small_body_bytes:
                stream.expects = True  # who it is, is asked before it sends anything
                self._ask(stream_id, stream)
            elif expects:
                self._h2.send_headers(stream_id, _CONTINUE)
        elif expects or (incoming.refusal.status == 413 and head.length is None):
            self._refuse(stream_id, stream, incoming.refusal)

    def data(self, event: DataReceived) -> None:
        """Room for as much more is given at once: it is kept, or not, and waits nowhere. Only
        while it is asked who sends it, no more may come than a window."""
        stream_id = event.stream_id
        stream = self.open.get(stream_id)
        if stream is not None and stream.asking:
            stream.owed_bytes += event.flow_controlled_length
        elif event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
        if stream is None or not stream.unread:
            return
        self._budget.earn(len(event.data) // budget.PART_BYTES)
        incoming = stream.incoming
        if not incoming.add(event.data, self._host) and incoming.refusal is not None:
            self._refuse(stream_id, stream, incoming.refusal)
        elif incoming.held is not None:
            self._ask(stream_id, stream)

    def trailers(self, event: TrailersReceived) -> None:
        """Checked as fields of a head are, and dropped: who stands before us strips headers, not
        these. The end of the stream is the next event."""
        self._budget.spend(size_of(event.headers) // budget.PART_BYTES)
        stream = self.open.get(event.stream_id)
        if stream is not None and stream.unread and not are_fields(event.headers):
            stream.incoming.refuse(Broken(400, NOT_HTTP2))

    def whole(self, stream_id: int) -> None:
        """The end of a request was seen."""
        stream = self.open.get(stream_id)
        if stream is None or not stream.unread:
            return
        stream.reading = False
        request = stream.incoming.whole()
        refusal = stream.incoming.refusal
        if refusal is not None:
            self._refuse(stream_id, stream, refusal)
            return
        stream.running = True
        task = self._host.loop.create_task(self._run(stream_id, stream, request))
        self._host.tasks.add(task)
        task.add_done_callback(self._host.tasks.discard)

    # who sends it

    def _ask(self, stream_id: int, stream: Stream) -> None:
        """Once, before more is kept of a large body. Of one that is whole by then it is asked with
        all else."""
        who = self._host.who
        if stream.asked:
            return
        stream.asked = True
        if who is None:
            self._told(stream_id, stream, "")
            return
        stream.asking = True
        task = self._host.loop.create_task(self._hear(who, stream_id, stream))
        self._host.tasks.add(task)
        task.add_done_callback(self._host.tasks.discard)

    async def _hear(self, who: Who, stream_id: int, stream: Stream) -> None:
        try:
            answer = await who(stream.incoming.bodiless()) if stream.unread else ""
        finally:
            stream.asking = False
            owed_bytes, stream.owed_bytes = stream.owed_bytes, 0
            with contextlib.suppress(ProtocolError):  # the connection has ended
                if owed_bytes:
                    self._h2.acknowledge_received_data(owed_bytes, stream_id)
        if self.open.get(stream_id) is stream:
            self._told(stream_id, stream, answer)
        self._sending.pump()

    def _told(self, stream_id: int, stream: Stream, answer: str | Refusal) -> None:
        incoming = stream.incoming
        if not stream.unread or incoming.refusal is not None:
            return
        if not isinstance(answer, str):
            self._refuse(stream_id, stream, answer)
            return
        if not incoming.name(answer):
            self._refuse(stream_id, stream, too_many())
        elif stream.expects:
            self._h2.send_headers(stream_id, _CONTINUE)

    def _give_way(self, stream_id: int) -> None:
        """To another's body, where there is not room for both."""
        stream = self.open.get(stream_id)
        if stream is not None and stream.unread:
            stream.incoming.refuse(too_many())
            self._refuse(stream_id, stream, too_many())
            self._sending.flush()

    def client_left(self, stream_id: int) -> None:
        stream = self.open.get(stream_id)
        if stream is not None:
            stream.exchange.client_left()
            self.settle(stream_id)

    def look_again(self, stream_id: int) -> None:
        """Its window has moved, or with 0 that of all."""
        for stream in (self.open.get(stream_id),) if stream_id else tuple(self.open.values()):
            if stream is not None:
                self._sending.enqueue(stream.exchange)

    # how it ends

    async def _run(self, stream_id: int, stream: Stream, request: Request) -> None:
        try:
            await self._host.application.serve(request, stream.exchange)
        finally:
            self._done(stream_id, stream)

    def _refuse(self, stream_id: int, stream: Stream, broken: Broken | Refusal) -> None:
        """Answers what is not served. A client that sends still need not go on."""
        stream.running = True
        raw_path, exchange = stream.incoming.head.raw_path, stream.exchange
        try:
            if isinstance(broken, Broken):
                self._host.application.refuse(broken.status, broken.message, raw_path, exchange)
            else:
                broken(exchange)
        finally:
            self._done(stream_id, stream)

    def _done(self, stream_id: int, stream: Stream) -> None:
        stream.running = False
        stream.incoming.drop()
        exchange = stream.exchange
        if not exchange.gone and (exchange.broken or not exchange.last):
            self._sending.reset(exchange, ErrorCodes.INTERNAL_ERROR)
        self.settle(stream_id)

    def settle(self, stream_id: int) -> None:
        """Counts it no more, where nothing is left to do for it."""
        stream = self.open.get(stream_id)
        if stream is None or stream.running:
            return
        exchange = stream.exchange
        if not exchange.gone and not exchange.ended:
            return
        del self.open[stream_id]
        stream.incoming.drop()
        if not exchange.gone:
            if stream.reading:
                self._sending.refuse(stream_id, ErrorCodes.NO_ERROR)
            self._budget.earn(budget.ANSWERED + stream.incoming.cost)
        if not self.open:
            self._idle()

    def refuse_unread(self) -> None:
        """Before a shutdown: whoever has not sent all may send it to another, as nothing was done
        with it. No stream is begun any more."""
        self.accepts = False
        for stream_id, stream in tuple(self.open.items()):
            if stream.unread:
                self._sending.reset(stream.exchange, ErrorCodes.REFUSED_STREAM)
                self.settle(stream_id)

    def abandon(self) -> None:
        """Their client has gone."""
        for stream_id in tuple(self.open):
            self.client_left(stream_id)

    def owes(self) -> bool:
        return any(stream.exchange.outgoing is not None for stream in self.open.values())

    def cut_late(self, now: float) -> None:
        """Answers that are not taken, and bodies that do not come. While the transport is full
        nothing is read, and no single stream is to blame for what its client does not take."""
        limits, full = self._host.limits, self._sending.full
        for stream_id, stream in tuple(self.open.items()):
            exchange, outgoing = stream.exchange, stream.exchange.outgoing
            if outgoing is not None:
                late = not full and exchange.patience.is_over(now, exchange.bytes_sent, limits)
                if late or now > outgoing.until:
                    self._sending.reset(exchange, ErrorCodes.CANCEL)
                    self.settle(stream_id)
            elif stream.unread and not full and stream.incoming.is_late(now, self._host):
                stream.incoming.refuse(LATE)
                self._refuse(stream_id, stream, stream.incoming.refusal or LATE)
