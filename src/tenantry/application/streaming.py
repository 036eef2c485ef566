"""A streamed answer: read to its end whoever listens, settled before its last frame is shown.

Owns: the pump between upstream and client, the frame that carries usage, the end of a broken
stream. Invariants: the pump never waits for a client longer than `client_stall_ms`; at most
`FRAMES_BUFFERED_MAX` frames wait for it; the frame that ends an answer follows its settlement.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import orjson

from tenantry.application import metering
from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.calls import ChatCall
from tenantry.application.guarding import frame_without_trace
from tenantry.domain import eventstream, guardrail, normalise
from tenantry.domain.answer_shape import is_event
from tenantry.domain.errors import TenantryError, Unavailable
from tenantry.domain.eventstream import Frame
from tenantry.domain.guardrail_usage import (
    NATIVE_TRACE,
    usages_in_converse,
    usages_in_native,
    with_guardrail,
)
from tenantry.domain.usage import NO_USAGE, Usage
from tenantry.ports.clock import Clock
from tenantry.ports.model import StreamEndKind, StreamReply

FRAMES_BUFFERED_MAX = 256
FRAMES_HELD_MAX = 64  # from the one with usage on, which is Bedrock's last; what follows is noise
_METRICS = normalise.INVOCATION_METRICS.encode()
_TRACE = NATIVE_TRACE.encode()
_MESSAGE_START = b'"message_start"'
_TOO_SLOW = "the answer was read too slowly: its rest is not sent"


@dataclass(frozen=True, slots=True)
class StreamLimits:
    drain_cap_ms: int = 600_000  # how long an answer is read after its client has gone
    client_stall_ms: int = 60_000  # a client that reads nothing for so long has gone


class OwnFrame(Frame):
    """A failure of ours in a stream. On the wire it looks as one of Bedrock's, which the decoded
    frame is told apart from by its class."""

    __slots__ = ()


class StreamedAnswer:
    """Implements `calls.Streamed`."""

    def __init__(
        self,
        request_id: UUID,
        chat: ChatCall,
        clock: Clock,
        limits: StreamLimits,
        *,
        call: int = 0,
        recorded: bool = False,
    ) -> None:
        self.request_id = request_id
        self.headers: Mapping[str, str] = {}
        self.currency = "USD"
        self.max_tokens: int | None = None
        self.settled = False
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chat = chat
        self._call = call  # its number within the request
        self._recorded = recorded  # read to its end even when its client has gone
        self._clock = clock
        self._limits = limits
        self._queue: asyncio.Queue[Frame | None] = asyncio.Queue(FRAMES_BUFFERED_MAX)
        self._left_at: float | None = None
        self._charge: Decimal | None = None
        self._usage = NO_USAGE

    @property
    def charge(self) -> Decimal | None:
        return self._charge

    @property
    def usage(self) -> Usage:
        return self._usage

    @property
    async def frames(self) -> AsyncIterator[Frame]:
        while (frame := await self._queue.get()) is not None:
            yield frame

    def leave(self) -> None:
        """The client has gone; the answer is still read and settled. Idempotent."""
        if self._left_at is None:
            self._left_at = self._clock.monotonic()
            if not self._recorded:
                self._end_early()

    def _end_early(self, last: Frame | None = None) -> None:
        """Nobody reads any more, and whoever still does is told so."""
        self._recorded = False
        while not self._queue.empty():
            self._queue.get_nowait()
        if last is not None:
            self._queue.put_nowait(last)
        self._queue.put_nowait(None)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Whatever ends the work within, whoever waits for the answer is told and never hangs."""
        try:
            yield
        except TenantryError as refusal:
            self._break_off(refusal)
        except BaseException:
            self._break_off(TenantryError())
            raise

    def _break_off(self, failure: TenantryError) -> None:
        if not self.started.done():
            failure.__traceback__ = None  # which would hold frames, and they us and the request
            self.started.set_exception(failure)
            self.started.exception()  # retrieved: a caller that left must not be warned about
            return
        kind = "internalServerException"
        if isinstance(failure, Unavailable):
            kind = "serviceUnavailableException"
        self._end_early(_exception(kind, failure.message))

    async def run(
        self, request: AdmittedRequest, planned: PlannedCall, reply: StreamReply, attempt: int
    ) -> None:
        """Pumps, settles, ends. Raises nothing that the world can cause."""
        self.headers = reply.headers
        self.currency = request.principal.tenant.currency
        if not self.started.done():
            self.started.set_result(None)
        usage = _StreamUsage(self._chat, planned)
        try:
            held = await self._pump(reply, usage)
            self._note(request, planned, reply, attempt, usage, failed=bool(held))
        except BaseException:
            await request.settle()  # an attempt that is not noted is left to the sweeper
            raise
        await self._finish(request, reply, held)

    async def _pump(self, reply: StreamReply, usage: _StreamUsage) -> list[Frame]:
        """Reads the stream to its end; returns the frames that must wait for the settlement."""
        held: list[Frame] = []
        try:
            async for frame in reply:
                last = usage.feed(frame) or frame.is_failure
                if usage.hides_trace:
                    frame = frame_without_trace(frame)
                if not held and not last:
                    await self._offer(frame)
                elif len(held) < FRAMES_HELD_MAX:
                    held.append(frame)
                if self._drained_enough():
                    break
        finally:
            await reply.aclose()
        return held

    def _note(
        self,
        request: AdmittedRequest,
        planned: PlannedCall,
        reply: StreamReply,
        attempt: int,
        usage: _StreamUsage,
        *,
        failed: bool,
    ) -> None:
        end = reply.end
        if usage.complete and (end is None or end.kind is not StreamEndKind.GARBLED):
            outcome = metering.settled(
                usage.reading(),
                planned,
                request.admission.prices,
                request.principal.tenant.plan,
                call=self._call,
                attempt=attempt,
                tier=metering.tier_of(usage.metadata, reply.headers),
                upstream_request_id=reply.request_id,
            )
        else:
            outcome = metering.unknown(
                call=self._call,
                attempt=attempt,
                # What its client left before we stopped reading; a failure is never a customer's.
                charged=end is not None and end.kind is StreamEndKind.CLOSED and not failed,
                estimate=usage.seen(planned),
                upstream_request_id=reply.request_id,
                error=(end.error_type or str(end.kind)) if end is not None else None,
            )
        request.ended(outcome)
        if not outcome.charged or not usage.readable:
            request.waste()  # and the calls before it

    async def _finish(
        self, request: AdmittedRequest, reply: StreamReply, held: list[Frame]
    ) -> None:
        try:
            await request.settle()
        except Unavailable as failure:
            held = [_exception("serviceUnavailableException", failure.message)]
        else:
            self.settled = True
            self._usage = request.usage
            self._charge = request.told_charge
            if not held:
                end = reply.end
                timed_out = end is not None and end.kind is StreamEndKind.TIMED_OUT
                kind = "modelTimeoutException" if timed_out else "modelStreamErrorException"
                held = [_exception(kind, "the model's answer ended before it was complete")]
        for frame in held:
            await self._offer(frame)
        await self._offer(None)

    async def _offer(self, frame: Frame | None) -> None:
        if self._left_at is not None and not self._recorded:
            return
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            try:
                async with asyncio.timeout(self._limits.client_stall_ms / 1_000):
                    await self._queue.put(frame)
            except TimeoutError:
                self.leave()
                self._end_early(_exception("modelStreamErrorException", _TOO_SLOW))

    def _drained_enough(self) -> bool:
        if self._left_at is None:
            return False
        return (self._clock.monotonic() - self._left_at) * 1_000 >= self._limits.drain_cap_ms


class _StreamUsage:
    """Finds the frame that carries usage, and counts what was seen until then."""

    def __init__(self, chat: ChatCall, planned: PlannedCall) -> None:
        self._family = planned.resolved.model.family
        self._class = metering.write_class(planned)
        self._converse = chat.operation == "ConverseStream"
        self._native = normalise.InvokeStreamUsage(self._family, self._class)
        self._guarded = planned.guarded
        self._guardrail: list[object] = []  # usage of each assessment in native chunks
        self.hides_trace = planned.hides_trace
        self._deltas = 0
        self.metadata: object = None
        self.complete = False
        self.readable = True  # no frame so far was rubbish, with which nobody can do anything

    def feed(self, frame: Frame) -> bool:
        """True from the frame on that carries usage."""
        if self._converse:
            said = _loads(frame.payload)
            if frame.event_type == "metadata":
                self.metadata = said
                self.complete = True
            elif frame.event_type == "contentBlockDelta":
                self._deltas += 1
            self.readable &= frame.is_failure or is_event(frame.event_type, said)
            return self.complete
        if frame.event_type == "chunk":
            self._deltas += 1
            self._feed_chunk(frame.payload)
        return self.complete

    def _feed_chunk(self, payload: bytes) -> None:
        try:
            document = orjson.loads(native := base64.b64decode(orjson.loads(payload)["bytes"]))
        except (ValueError, KeyError, TypeError):  # no JSON, or no base64
            self.readable = False
            return
        traced = self._guarded and _TRACE in native
        if _METRICS in native or _MESSAGE_START in native or traced:  # a model may just say so too
            self._native.feed(document)
            self._guardrail += usages_in_native(document) if traced else ()
            if isinstance(document, dict) and normalise.INVOCATION_METRICS in document:
                self.complete = True

    def reading(self) -> normalise.Reading:
        reading, units = self._native.finish(), self._guardrail
        if self._converse:
            metadata = self.metadata if isinstance(self.metadata, dict) else {}
            reading = normalise.from_converse(metadata.get("usage"), self._family, self._class)
            units = usages_in_converse(metadata.get("trace"))
        return with_guardrail(reading, units) if self._guarded else reading

    def seen(self, planned: PlannedCall) -> Usage:
        """An estimate for where no log is configured: the input bound, a token for each delta."""
        tokens = Usage(uncached_in=planned.bound.input_tokens, out=self._deltas)
        return tokens + guardrail.estimated(planned.pinned, self._deltas)


def _loads(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _exception(kind: str, message: str) -> Frame:
    payload = orjson.dumps({"message": message})
    raw = eventstream.encode_exception(kind, payload)
    (frame,) = eventstream.Decoder().feed(raw)
    return OwnFrame(
        frame.message_type,
        frame.event_type,
        frame.exception_type,
        frame.headers,
        frame.payload,
        frame.raw,
    )
