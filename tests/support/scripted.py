"""The ports of a metered request, each small and scripted: what happens is said by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from tests.support.core import CLAUDE, GPT, NOVA, PRICES, RERANK, TITAN

from tenantry.application.admission import OnRefused
from tenantry.application.context import RequestContext
from tenantry.application.embeddings import Embeddings
from tenantry.application.gate import Gate
from tenantry.application.inference import Inference
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import Planning
from tenantry.application.streaming import StreamLimits
from tenantry.application.upstream import UpstreamRules
from tenantry.domain import eventstream
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.eventstream import Frame
from tenantry.domain.ids import RequestId, TenantId, uuid7
from tenantry.domain.price import PriceEdition
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import (
    Admitted,
    AttemptOutcome,
    Intent,
    Refused,
    Reservation,
    Settled,
    Settlement,
)
from tenantry.ports.directory import Signer
from tenantry.ports.model import (
    Attempt,
    Failure,
    FailureKind,
    Reply,
    StreamEnd,
    StreamEndKind,
    StreamReply,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = NOW

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOW).total_seconds()

    def random(self, count: int) -> bytes:
        return bytes(count)


@dataclass
class MemoryAdmission:
    """Admits everything that is not scripted otherwise, and remembers it in order."""

    verdicts: list[Refused] = field(default_factory=list)
    settle_trouble: list[BaseException | None] = field(default_factory=list)
    begin_trouble: list[BaseException | None] = field(default_factory=list)
    reservations: list[Reservation] = field(default_factory=list)
    begun: list[Intent] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    settle_hangs: bool = False

    async def admit(self, reservation: Reservation) -> Admitted | Refused:
        if self.verdicts:
            return self.verdicts.pop(0)
        self.reservations.append(reservation)
        return Admitted(NOW, NOW)

    async def begin(self, tenant_id: TenantId, request_id: UUID, intent: Intent) -> None:
        trouble = self.begin_trouble.pop(0) if self.begin_trouble else None
        if trouble is not None:
            raise trouble
        self.begun.append(intent)

    async def settle(self, settlement: Settlement) -> Settled:
        if self.settle_hangs:
            await asyncio.Event().wait()
        trouble = self.settle_trouble.pop(0) if self.settle_trouble else None
        if trouble is not None:
            raise trouble
        self.settlements.append(settlement)
        return Settled(NOW, True)

    @property
    def outcomes(self) -> list[AttemptOutcome]:
        """Of the only settlement."""
        (settlement,) = self.settlements
        assert settlement.final
        return list(settlement.outcomes)


class MemoryDirectory:
    """One catalogue, one price book; `principals` are what a refresh finds."""

    def __init__(self, prices: PriceEdition = PRICES) -> None:
        self.edition_in_force = prices
        self.found = Catalogue([CLAUDE, NOVA, GPT, TITAN, RERANK])
        self.principals: list[Principal] = []
        self.trouble: BaseException | None = None

    async def catalogue(self) -> Catalogue:
        if self.trouble is not None:
            raise self.trouble
        return self.found

    async def prices(self, *, reload: bool = False) -> PriceEdition:
        return self.edition_in_force

    async def edition(self, version: int) -> PriceEdition:
        assert version == self.edition_in_force.version
        return self.edition_in_force

    async def refresh(self, principal: Principal) -> Principal:
        return self.principals.pop(0)

    async def by_bearer(self, presented: str, *, fresh: bool) -> Principal:
        raise AssertionError("nobody authenticates here")

    async def by_access_key_id(self, access_key_id: str, *, fresh: bool) -> Signer:
        raise AssertionError("nobody authenticates here")

    def forget(self, tenant_id: TenantId) -> None: ...


class FixedLabels:
    async def user_hash(self, principal: Principal, user: str) -> str:
        return f"hash of {user} of {principal.tenant_id}"

    async def salt(self, principal: Principal) -> str:
        return f"[salt of {principal.tenant_id}]"


class ScriptedStream:
    """Frames one by one; `gates[n]` holds frame n back; then the end that is scripted."""

    status = 200
    request_id = "up-1"

    def __init__(
        self,
        frames: Sequence[Frame | BaseException],
        end: StreamEnd | None = None,
        gates: Mapping[int, asyncio.Event] | None = None,
    ) -> None:
        self.headers: Mapping[str, str] = {"x-amzn-requestid": "up-1"}
        self.end: StreamEnd | None = None
        self.closed = False
        self.read = 0
        self._frames = frames
        self._last = end or StreamEnd(StreamEndKind.COMPLETE)
        self._gates = gates or {}

    async def __aiter__(self) -> AsyncIterator[Frame]:
        for number, frame in enumerate(self._frames):
            if number in self._gates:
                await self._gates[number].wait()
            await asyncio.sleep(0)
            if isinstance(frame, BaseException):
                raise frame
            self.read += 1
            yield frame
        self.end = self._last

    async def aclose(self) -> None:
        self.closed = True
        if self.end is None:
            self.end = StreamEnd(StreamEndKind.CLOSED)


Script = Reply | Failure | StreamReply | BaseException | Callable[[Attempt], Awaitable[Any]]


class ScriptedModel:
    """Answers attempt after attempt from a list; what is left over was never asked for."""

    def __init__(self, *script: Script) -> None:
        self.script = list(script)
        self.attempts: list[Attempt] = []

    async def invoke(self, attempt: Attempt) -> Reply | Failure:
        return await self._next(attempt)

    async def stream(self, attempt: Attempt) -> StreamReply | Failure:
        return await self._next(attempt)

    async def _next(self, attempt: Attempt) -> Any:
        self.attempts.append(attempt)
        await asyncio.sleep(0)
        step = self.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        return await step(attempt) if callable(step) else step


@dataclass
class Core:
    """One worker's use cases over scripted ports."""

    model: ScriptedModel
    admission: MemoryAdmission
    directory: MemoryDirectory
    clock: ManualClock
    tasks: OwnedTasks
    gate: Gate
    planning: Planning
    calls: ModelCalls
    embeddings: Embeddings
    inference: Inference
    limits: StreamLimits


def core(
    *script: Script,
    settle_wait_ms: int = 5_000,
    limits: StreamLimits | None = None,
    rules: UpstreamRules | None = None,
    on_refused: OnRefused | None = None,
) -> Core:
    model, admission, directory = ScriptedModel(*script), MemoryAdmission(), MemoryDirectory()
    clock, tasks, labels = ManualClock(), OwnedTasks(), FixedLabels()
    limits = limits or StreamLimits()
    gate = Gate(admission, directory, labels, tasks, settle_wait_ms, on_refused)
    planning = Planning(directory, labels, clock, rules or UpstreamRules())
    calls = ModelCalls(model, planning)
    return Core(
        model,
        admission,
        directory,
        clock,
        tasks,
        gate,
        planning,
        calls,
        Embeddings(gate, planning, calls, tasks),
        Inference(gate, planning, model, tasks, clock, limits),
        limits,
    )


def context(principal: Principal, number: int = 0, **more: Any) -> RequestContext:
    request_id = RequestId(uuid7(1_700_000_000_000 + number, bytes(10)))
    return RequestContext(request_id, principal, **more)


def usage(uncached_in: int = 1_000, out: int = 500) -> dict[str, int]:
    return {"inputTokens": uncached_in, "outputTokens": out, "totalTokens": uncached_in + out}


def converse_reply(text: str = "hello", **counts: int) -> Reply:
    document = {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": usage(**counts),
    }
    return reply(document)


def reply(document: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(200, dict(headers or {}), orjson.dumps(document), document)


def throttled(retry_after_ms: int | None = 1) -> Failure:
    return Failure(
        FailureKind.THROTTLED, False, "slow down", 429, "ThrottlingException", retry_after_ms
    )


def event(event_type: str, payload: Mapping[str, Any]) -> Frame:
    return _decoded(eventstream.encode_event(event_type, orjson.dumps(payload)))


def exception(kind: str, message: str = "it broke") -> Frame:
    return _decoded(eventstream.encode_exception(kind, orjson.dumps({"message": message})))


def error_frame(code: str) -> Frame:
    """A failure that the stream's model has no exception of."""
    headers = {":message-type": "error", ":error-code": code, ":error-message": "it broke"}
    return _decoded(eventstream.encode(headers, b""))


def message_stop(reason: str = "end_turn") -> Frame:
    return event("messageStop", {"stopReason": reason})


def _decoded(raw: bytes) -> Frame:
    (frame,) = eventstream.Decoder().feed(raw)
    return frame


def delta(text: str) -> Frame:
    return event("contentBlockDelta", {"delta": {"text": text}, "contentBlockIndex": 0})


def metadata(**counts: int) -> Frame:
    return event("metadata", {"usage": usage(**counts), "metrics": {"latencyMs": 1}})
