"""Two tenants and fixed answers behind the HTTP edge: a small, real implementation of its ports."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from tests.support.http_alerts import MemoryAlerts, fixed_outlooks
from tests.support.http_billing import memory_billing
from tests.support.http_grounded import FixedGrounded
from tests.support.http_margin import MemoryMarginBooks
from tests.support.http_tenant_services import (
    FixedAnswers,
    FixedConversations,
    FixedReranker,
    MemoryControl,
    MemoryLabels,
    MemoryLedger,
    MemoryLibrary,
)
from tests.support.idempotency import MemoryIdempotency, idempotent_over
from tests.support.operator_keys import operator_once_in_memory

from tenantry.application.authenticate import Authenticator
from tenantry.application.calls import ChatCall, Completed, Embedded
from tenantry.application.context import RequestContext
from tenantry.bootstrap.papers import Papers
from tenantry.domain import eventstream
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.errors import KeyWrong, ModelNotFound, TenantryError, TenantSuspended
from tenantry.domain.eventstream import Frame
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan
from tenantry.domain.price import PriceEdition, edition_from_csv
from tenantry.domain.shared_costs import SharedCosts
from tenantry.domain.tenant import DEFAULT_SCOPES, Principal, Scope, Tenant, TenantStatus
from tenantry.domain.usage import Usage
from tenantry.entrypoints.http.labels import LABELS
from tenantry.entrypoints.http.metrics import Counters, cells_for
from tenantry.entrypoints.http.services import Services
from tenantry.ports.directory import Signer
from tenantry.ports.idempotency import IdempotencyStore
from tenantry.ports.round_marks import LastRound

OPERATOR_TOKEN = "op_" + "o" * 40
CHARGE = Decimal("0.0315")
USAGE = Usage(uncached_in=1_000, cache_read=200, out=500)
PLAN = Plan("test", requests_per_minute=300, tokens_per_minute=400_000)
PLACEMENT = Placement("pool", "pool", "111111111111", "us-east-1")
CATALOGUE = Catalogue(
    [
        Model(
            "amazon.nova-micro-v1:0", "nova", "chat", 128_000, 10_000, "nova-micro", alias="micro"
        ),
        Model(
            "amazon.titan-embed-text-v2:0", "titan_embed", "embedding", 8_192, 0, "titan-embed-v2"
        ),
    ]
)
PRICES = edition_from_csv(
    ["model,tier,over_tokens,class,usd_per_million", "nova-micro,default,0,out,0.14"],
    version=1,
    effective_from=datetime(2026, 1, 1, tzinfo=UTC),
    source="test",
)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def random(self, count: int) -> bytes:
        return secrets.token_bytes(count)


def tenant(name: str) -> Tenant:
    return Tenant(TenantId(f"tnt_{name}"), name, TenantStatus.ACTIVE, PLAN, PLACEMENT)


@dataclass(slots=True)
class Key:
    bearer: str
    access_key_id: str
    secret: str
    principal: Principal
    trouble: TenantryError | None = None


def key_of(name: str, scopes: frozenset[Scope] = DEFAULT_SCOPES) -> Key:
    principal = Principal(tenant(name.partition("-")[0]), ApiKeyId(f"key_{name}"), scopes)
    return Key(f"tk_{name}", f"AKIA{name.upper().replace('-', '')}", f"secret-of-{name}", principal)


class MemoryDirectory:
    """API keys in a dictionary. `fresh_reads` counts how often the database would be asked."""

    def __init__(self) -> None:
        self.keys = [
            key_of("acme"),
            key_of("bolt"),
            key_of("acme-admin", frozenset({Scope.ADMIN})),
            key_of("acme-search", frozenset({Scope.SEARCH})),
            key_of("acme-infer", frozenset({Scope.INFER})),
        ]
        suspended = key_of("gone")
        suspended.trouble = TenantSuspended()
        self.keys.append(suspended)
        self.fresh_reads = 0
        self.forgotten: list[str] = []

    def add(self, name: str, trouble: TenantryError) -> None:
        key = key_of(name)
        key.trouble = trouble
        self.keys.append(key)

    def _found(self, key: Key | None, fresh: bool) -> Key:
        self.fresh_reads += fresh
        if key is None:
            raise KeyWrong
        if key.trouble is not None:
            raise key.trouble
        return key

    async def by_bearer(self, presented: str, *, fresh: bool) -> Principal:
        key = next((key for key in self.keys if key.bearer == presented), None)
        return self._found(key, fresh).principal

    async def by_access_key_id(self, access_key_id: str, *, fresh: bool) -> Signer:
        key = next((key for key in self.keys if key.access_key_id == access_key_id), None)
        self.fresh_reads += fresh
        if key is None:
            raise KeyWrong
        return Signer(key.secret.encode(), key.trouble or key.principal)

    async def catalogue(self) -> Catalogue:
        return CATALOGUE

    async def prices(self, *, reload: bool = False) -> PriceEdition:
        return PRICES

    def forget(self, tenant_id: TenantId) -> None:
        self.forgotten.append(tenant_id)


CONVERSE_ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Grüße, 世界 🌍"}]}},
    "stopReason": "end_turn",
    "usage": {
        "inputTokens": 1_000, "outputTokens": 500, "totalTokens": 1_700,
        "cacheReadInputTokens": 200, "cacheWriteInputTokens": 0,
    },
    "metrics": {"latencyMs": 7},
}  # fmt: skip
UPSTREAM_HEADERS = {
    "x-amzn-requestid": "0a1b2c3d-0000-4000-8000-000000000001",
    "content-type": "application/json",
    "x-amzn-bedrock-input-token-count": "1000",
    "connection": "keep-alive",
}


def converse_events() -> list[tuple[str, dict[str, Any]]]:
    return [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"delta": {"text": "Grüße, "}, "contentBlockIndex": 0}),
        ("contentBlockDelta", {"delta": {"text": "世界 🌍"}, "contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": CONVERSE_ANSWER["usage"], "metrics": {"latencyMs": 7}}),
    ]


def frame(event_type: str, payload: Mapping[str, Any]) -> Frame:
    fails = event_type.endswith("Exception")
    encode = eventstream.encode_exception if fails else eventstream.encode_event
    return eventstream.Decoder().feed(encode(event_type, orjson.dumps(payload)))[0]


def chunk(native: Mapping[str, Any]) -> Frame:
    return frame("chunk", {"bytes": base64.b64encode(orjson.dumps(native)).decode()})


def invoke_chunks() -> list[Frame]:
    metrics = {"inputTokenCount": 1_000, "outputTokenCount": 500}
    return [
        chunk({"type": "message_start"}),
        chunk({"type": "content_block_delta", "delta": {"text": "hello"}}),
        chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}),
    ]


class FixedStream:
    """A stream of fixed frames. Settled before its last; `gate` holds it after the first."""

    def __init__(self, request_id: UUID, frames: Sequence[Frame], gate: asyncio.Event) -> None:
        self.request_id = request_id
        self.headers = {"x-amzn-requestid": "up-1", "content-type": eventstream.CONTENT_TYPE}
        self.currency = "USD"
        self.max_tokens: int | None = None
        self.left = asyncio.Event()
        self.charge: Decimal | None = None
        self.usage = USAGE
        self._frames = frames
        self._gate = gate

    @property
    async def frames(self) -> AsyncIterator[Frame]:
        for number, item in enumerate(self._frames):
            if number == len(self._frames) - 1:
                self.charge = CHARGE
            yield item
            await self._gate.wait()

    def leave(self) -> None:
        self.left.set()


@dataclass(slots=True)
class FixedInference:
    """Answers every call alike, remembers what it was asked, and refuses when told to."""

    asked: list[tuple[RequestContext, Any]] = field(default_factory=list)
    refusal: TenantryError | Exception | None = None
    spent: bool | None = None  # when it refuses; None: it refuses before admission
    answer: Mapping[str, Any] = field(default_factory=lambda: CONVERSE_ANSWER)
    events: Callable[[], list[tuple[str, dict[str, Any]]]] = converse_events
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    streams: list[FixedStream] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def _note(self, ctx: RequestContext, what: Any) -> None:
        self.asked.append((ctx, what))
        if self.spent is not None:
            ctx.progress.admitted = True
            ctx.progress.spent = self.spent
        if self.refusal is not None:
            raise self.refusal
        model = what.model if isinstance(what, ChatCall) else what
        if isinstance(model, str) and model.startswith("unknown"):
            raise ModelNotFound(f"unknown model: {model}")

    async def complete(self, ctx: RequestContext, chat: ChatCall) -> Completed:
        self._note(ctx, chat)
        body = orjson.dumps(self.answer)
        return Completed(ctx.request_id, body, UPSTREAM_HEADERS, USAGE, CHARGE)

    async def stream(self, ctx: RequestContext, chat: ChatCall) -> FixedStream:
        self._note(ctx, chat)
        if chat.operation == "ConverseStream":
            frames = [frame(kind, payload) for kind, payload in self.events()]
        else:
            frames = invoke_chunks()
        stream = FixedStream(ctx.request_id, frames, self.gate)
        if chat.operation != "ConverseStream":
            stream.headers["x-amzn-bedrock-content-type"] = "application/json"
        self.streams.append(stream)
        return stream

    async def count_tokens(
        self, ctx: RequestContext, model: str, body: Mapping[str, Any]
    ) -> Completed:
        self._note(ctx, model)
        return Completed(ctx.request_id, b'{"inputTokens":7}', UPSTREAM_HEADERS)

    async def apply(
        self, ctx: RequestContext, identifier: str, version: str, body: Mapping[str, Any]
    ) -> Completed:
        self._note(ctx, (identifier, version))
        return Completed(ctx.request_id, b'{"action":"NONE"}', UPSTREAM_HEADERS)

    async def embed(
        self, ctx: RequestContext, model: str, texts: Sequence[str], dimensions: int | None
    ) -> Embedded:
        self._note(ctx, (model, tuple(texts), dimensions))
        vectors = [
            [hashlib.sha256(text.encode()).digest()[i] / 256 for i in range(dimensions or 16)]
            for text in texts
        ]
        usage = Usage(embedding=5 * len(texts))
        return Embedded(ctx.request_id, vectors, model, usage, Decimal("0.0000004"), "USD")


class FixedServices:
    """What a test holds on to: the parts of `Services` that it may steer."""

    def __init__(self) -> None:
        self.directory = MemoryDirectory()
        self.inference = FixedInference()
        self.library = MemoryLibrary()
        self.ledger = MemoryLedger()
        self.grounded = FixedGrounded(self.inference)
        self.answers = FixedAnswers()
        self.conversations = FixedConversations(self.answers)
        self.reranker = FixedReranker()
        self.control = MemoryControl([tenant("acme"), tenant("bolt")], PLACEMENT)
        self.alerts = MemoryAlerts()
        self.unready: TenantryError | None = None
        self.idempotency: IdempotencyStore = MemoryIdempotency()

    def services(self, counters: Counters | None = None) -> Services:
        """Must be called on the loop that will serve."""

        async def ready() -> None:
            if self.unready is not None:
                raise self.unready

        async def nothing(*_: object) -> None:
            return None

        async def no_attempts() -> dict[str, tuple[int, float]]:
            return {}

        async def no_disks() -> dict[str, int]:
            return {}

        async def no_rounds() -> list[LastRound]:
            return []

        directory: Any = self.directory
        control: Any = self.control
        audits: Any = None  # tests/integration/stack too
        tenant_admin: Any = None  # what it does is the database's: tests/integration/stack
        nothing_made: Any = None
        return Services(
            authenticator=Authenticator(directory),
            directory=directory,
            inference=self.inference,
            guardrails=self.inference,
            embeddings=self.inference,
            library=self.library,
            grounded=self.grounded,
            answers=self.answers,
            conversations=self.conversations,
            reranker=self.reranker,
            ledger=self.ledger,
            labels=MemoryLabels(),
            tenant_admin=tenant_admin,
            billing=memory_billing(),
            papers=Papers(),
            margin_books=MemoryMarginBooks(),
            shared_costs=SharedCosts(),
            idempotent=idempotent_over(self.idempotency),
            operator_once=operator_once_in_memory(),
            control=control,
            shreds=nothing_made,
            exports=nothing_made,
            erasure=nothing_made,
            alerts=self.alerts,
            audits=audits,
            outlooks=fixed_outlooks,
            clock=SystemClock(),
            operator_token_sha256=hashlib.sha256(OPERATOR_TOKEN.encode()).digest(),
            ready=ready,
            disk_free=no_disks,
            alert_counts=lambda: self.alerts.counts(),
            clock_ahead=timedelta,
            attempt_counts=no_attempts,
            last_rounds=no_rounds,
            env="local",
            version="0",
            drain=nothing,
            close=nothing,
            counters=counters or Counters([0] * cells_for(1), LABELS, 0),
        )
