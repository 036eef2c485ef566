"""Everything that the routes call, in one place; filled by the composition root.

The Protocols say what this entrypoint needs of a use case, so that the edge can be run and tested
with any implementation of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from tenantry.application.answers import Answer
from tenantry.application.asking import Question, Search
from tenantry.application.authenticate import Authenticator
from tenantry.application.billing import Billing
from tenantry.application.calls import ChatCall, Completed, Embedded, Streamed
from tenantry.application.context import RequestContext
from tenantry.application.conversing import TurnCall
from tenantry.application.documents import Content, Page
from tenantry.application.erasing import Erasure
from tenantry.application.exporting import Exports
from tenantry.application.grounded import GroundedCompleted
from tenantry.application.idempotency import Idempotent
from tenantry.application.library import Added, Found
from tenantry.application.operator_once import OperatorOnce
from tenantry.application.pacing import Outlook
from tenantry.application.reranking import RerankCall, Reranked
from tenantry.application.shredding import Shreds
from tenantry.domain.budget import BudgetKey
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Document
from tenantry.domain.ids import TenantId
from tenantry.domain.prompt import Citation
from tenantry.domain.shared_costs import SharedCosts
from tenantry.domain.upload import Upload
from tenantry.entrypoints.http.metrics import Counters
from tenantry.ports.alerts import AlertBook
from tenantry.ports.audits import AuditBook
from tenantry.ports.clock import Clock
from tenantry.ports.control import ControlPlane
from tenantry.ports.directory import Directory
from tenantry.ports.labels import Labels
from tenantry.ports.ledger import TenantLedger
from tenantry.ports.margin import MarginBooks
from tenantry.ports.papers import InvoicePapers
from tenantry.ports.reindexing import Reindex
from tenantry.ports.round_marks import LastRound
from tenantry.ports.tenant_admin import TenantAdmin


class Inference(Protocol):
    """Plain and streamed calls to a model."""

    async def complete(self, ctx: RequestContext, chat: ChatCall, /) -> Completed: ...

    async def stream(self, ctx: RequestContext, chat: ChatCall, /) -> Streamed: ...

    async def count_tokens(
        self, ctx: RequestContext, model: str, body: Mapping[str, Any], /
    ) -> Completed: ...


class Guardrails(Protocol):
    """Texts and images judged by a guardrail, without a model."""

    async def apply(
        self, ctx: RequestContext, identifier: str, version: str, body: Mapping[str, Any], /
    ) -> Completed: ...


class Embeddings(Protocol):
    """Vectors of texts."""

    async def embed(
        self, ctx: RequestContext, model: str, texts: Sequence[str], dimensions: int | None, /
    ) -> Embedded: ...


class Library(Protocol):
    """The tenant's documents. Another tenant's, and what `ctx.groups` may not see: `NotFound`."""

    async def add(self, ctx: RequestContext, upload: Upload, /) -> Added: ...

    async def replace(self, ctx: RequestContext, document_id: str, upload: Upload, /) -> Added: ...

    async def reindex(
        self, ctx: RequestContext, model: str | None, dimensions: int | None, /, *, again: bool
    ) -> Reindex: ...

    async def latest_reindex(self, ctx: RequestContext, /) -> Reindex: ...

    async def cancel_reindex(self, ctx: RequestContext, /) -> Reindex: ...

    async def page(self, ctx: RequestContext, cursor: str | None, limit: int, /) -> Page: ...

    async def get(self, ctx: RequestContext, document_id: str, /) -> Document: ...

    async def content(self, ctx: RequestContext, document_id: str, /) -> Content: ...

    async def remove(self, ctx: RequestContext, document_id: str, /) -> None: ...

    async def find(self, ctx: RequestContext, asked: Search, /) -> Found: ...


class GroundedStream(Streamed, Protocol):
    """An answer under way, the passages it was given, and what it cites of them so far."""

    passages: Sequence[Passage]

    @property
    def citations(self) -> Sequence[Citation]: ...


class Grounded(Protocol):
    """Plain and streamed calls to a model that is given passages of the tenant's documents."""

    async def complete(self, ctx: RequestContext, asked: Question, /) -> GroundedCompleted: ...

    async def stream(self, ctx: RequestContext, asked: Question, /) -> GroundedStream: ...


class AnswerStream(Protocol):
    """An answer under way: texts first; `result` is set when they have ended."""

    max_tokens: int | None  # the model's output limit, where it was lowered
    passages: Sequence[Passage]  # what the model was given

    @property
    def texts(self) -> AsyncIterator[str]: ...

    @property
    def result(self) -> Answer | None: ...

    def leave(self) -> None: ...


class Answers(Protocol):
    """Answers from the tenant's documents."""

    async def ask(self, ctx: RequestContext, asked: Question, /) -> Answer: ...

    async def ask_stream(self, ctx: RequestContext, asked: Question, /) -> AnswerStream: ...


class Conversations(Protocol):
    """Answers within sessions: the session's id, and the answer."""

    async def answer(self, ctx: RequestContext, call: TurnCall, /) -> tuple[str, Answer]: ...

    async def stream(self, ctx: RequestContext, call: TurnCall, /) -> tuple[str, AnswerStream]: ...


class Reranker(Protocol):
    """Documents by their relevance to a query."""

    async def rerank(self, ctx: RequestContext, call: RerankCall, /) -> Reranked: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What one worker serves with. `ready` raises `TenantryError` while something is missing."""

    authenticator: Authenticator
    directory: Directory
    inference: Inference
    guardrails: Guardrails
    embeddings: Embeddings
    library: Library
    grounded: Grounded
    answers: Answers
    conversations: Conversations
    reranker: Reranker
    ledger: TenantLedger
    labels: Labels
    tenant_admin: TenantAdmin
    billing: Billing
    papers: InvoicePapers
    margin_books: MarginBooks
    shared_costs: SharedCosts
    idempotent: Idempotent
    operator_once: OperatorOnce
    control: ControlPlane
    shreds: Shreds
    exports: Exports
    erasure: Erasure
    alerts: AlertBook
    audits: AuditBook
    outlooks: Callable[[TenantId, BudgetKey | None, int], Awaitable[Sequence[Outlook]]]
    clock: Clock
    clock_ahead: Callable[[], timedelta]  # how far the machine's own is ahead of it
    operator_token_sha256: bytes
    ready: Callable[[], Awaitable[None]]
    disk_free: Callable[[], Awaitable[Mapping[str, int]]]  # bytes, by what lies there
    alert_counts: Callable[[], Awaitable[Mapping[tuple[str, str], int]]]  # kind and severity
    # By state: how many have not ended, and the age of the oldest in seconds.
    attempt_counts: Callable[[], Awaitable[Mapping[str, tuple[int, float]]]]
    last_rounds: Callable[[], Awaitable[Sequence[LastRound]]]  # of this machine's background worker
    env: str
    version: str
    drain: Callable[[float], Awaitable[None]]  # owned tasks, at most so many seconds
    close: Callable[[], Awaitable[None]]
    counters: Counters
