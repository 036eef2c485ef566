"""Everything that the routes call, in one place; filled by the composition root.

The Protocols say what this entrypoint needs of a use case, so that the edge can be run and tested
with any implementation of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from tenantry.application.authenticate import Authenticator
from tenantry.application.calls import ChatCall, Completed, Embedded, Streamed
from tenantry.application.context import RequestContext
from tenantry.domain.document import Document
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.entrypoints.http.metrics import Counters
from tenantry.ports.clock import Clock
from tenantry.ports.control import ControlPlane
from tenantry.ports.directory import Directory
from tenantry.ports.ledger import TenantLedger


class Inference(Protocol):
    """Plain and streamed calls to a model."""

    async def complete(self, ctx: RequestContext, chat: ChatCall, /) -> Completed: ...

    async def stream(self, ctx: RequestContext, chat: ChatCall, /) -> Streamed: ...

    async def count_tokens(
        self, ctx: RequestContext, model: str, body: Mapping[str, Any], /
    ) -> Completed: ...

    async def embed(
        self, ctx: RequestContext, model: str, texts: Sequence[str], dimensions: int | None, /
    ) -> Embedded: ...


@dataclass(frozen=True, slots=True)
class Upload:
    """A document as it came over the wire. `data` is the original, byte for byte."""

    data: bytes
    content_type: str
    file_name: str
    title: str | None
    metadata: Mapping[str, Any]
    access: frozenset[str]


@dataclass(frozen=True, slots=True)
class Content:
    """An original, opened."""

    data: bytes
    content_type: str
    file_name: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that was found; `start` and `end` are characters of the document's text."""

    document_id: str
    title: str
    text: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and what its query embedding cost."""

    passages: Sequence[Passage]
    charge: Decimal | None
    currency: str


class Documents(Protocol):
    """The tenant's documents. Another tenant's, and what `ctx.groups` may not see: `NotFound`."""

    async def add(self, ctx: RequestContext, upload: Upload, /) -> tuple[Document, Decimal]:
        """The document once original and manifest are durable, and the charge so far."""
        ...

    async def list(
        self, ctx: RequestContext, after: str | None, limit: int, /
    ) -> Sequence[Document]: ...

    async def get(self, ctx: RequestContext, document_id: str, /) -> Document: ...

    async def content(self, ctx: RequestContext, document_id: str, /) -> Content: ...

    async def remove(self, ctx: RequestContext, document_id: str, /) -> None: ...

    async def search(
        self, ctx: RequestContext, query: str, top_k: int, where: object, /
    ) -> Found: ...


@dataclass(frozen=True, slots=True)
class Citation:
    """Where an answer stands: `[number]` in its text names it."""

    number: int
    document_id: str
    title: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Answer:
    answer: str
    citations: Sequence[Citation]
    usage: Usage
    charge: Decimal
    currency: str
    request_id: UUID


class AnswerStream(Protocol):
    """An answer under way: texts first; `result` is set when they have ended."""

    @property
    def texts(self) -> AsyncIterator[str]: ...

    @property
    def result(self) -> Answer | None: ...

    def leave(self) -> None: ...


class Answers(Protocol):
    """Answers from the tenant's documents."""

    async def answer(
        self, ctx: RequestContext, question: str, model: str | None, top_k: int, where: object, /
    ) -> Answer: ...

    async def stream(
        self, ctx: RequestContext, question: str, model: str | None, top_k: int, where: object, /
    ) -> AnswerStream: ...


class Invoices(Protocol):
    """The tenant's invoices as JSON-ready objects; amounts are strings."""

    async def list(self, principal: Principal, /) -> Sequence[Mapping[str, Any]]: ...

    async def get(self, principal: Principal, number: str, /) -> Mapping[str, Any]: ...


class OperatorReports(Protocol):
    """What an operator reads across tenants: accounting, never content."""

    async def usage(
        self, tenant: str | None, start: datetime, end: datetime, group_by: Sequence[str], /
    ) -> Sequence[Mapping[str, Any]]: ...

    async def invoices(
        self, tenant: str | None, after: str | None, limit: int, /
    ) -> Sequence[Mapping[str, Any]]: ...

    async def prices(self) -> Mapping[str, Any]: ...

    async def placements(self) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What one worker serves with. `ready` raises `TenantryError` while something is missing."""

    authenticator: Authenticator
    directory: Directory
    inference: Inference
    documents: Documents
    answers: Answers
    ledger: TenantLedger
    invoices: Invoices
    control: ControlPlane
    reports: OperatorReports
    clock: Clock
    operator_token_sha256: bytes
    ready: Callable[[], Awaitable[None]]
    drain: Callable[[float], Awaitable[None]]  # owned tasks, at most so many seconds
    close: Callable[[], Awaitable[None]]
    counters: Counters
