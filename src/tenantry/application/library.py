"""A tenant's documents for the wires: uploads and searches, each admitted and metered.

Owns: joining the knowledge use cases with reservations. Does not own: either of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tenantry.application import documents, ingestion
from tenantry.application.admission import PlannedCall
from tenantry.application.asking import Search
from tenantry.application.context import RequestContext
from tenantry.application.embeddings import Embeddings
from tenantry.application.finding import Finder, PlannedSearch
from tenantry.application.gate import Gate
from tenantry.application.ingestion import Caller, Ingested
from tenantry.application.knowledge import Knowledge
from tenantry.application.metered_embedding import Batches
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import Planning
from tenantry.application.reindexing import Reindexing
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Document
from tenantry.domain.tenant import Principal
from tenantry.domain.upload import Upload
from tenantry.ports.clock import Clock
from tenantry.ports.reindexing import Reindex


@dataclass(frozen=True, slots=True)
class Added:
    """An upload that is durable, and what was charged while its client waited."""

    ingested: Ingested
    charge: Decimal | None  # None: not all known yet
    currency: str


@dataclass(frozen=True, slots=True)
class Found:
    """Passages, best first, and the charge of finding them."""

    passages: Sequence[Passage]
    charge: Decimal | None  # None: not all known yet
    currency: str


class Library:
    """One for each worker."""

    def __init__(
        self,
        knowledge: Knowledge,
        reindexing: Reindexing,
        gate: Gate,
        planning: Planning,
        embeddings: Embeddings,
        finder: Finder,
        tasks: OwnedTasks,
        clock: Clock,
    ) -> None:
        self._knowledge = knowledge
        self._reindexing = reindexing
        self._gate = gate
        self._planning = planning
        self._embeddings = embeddings
        self._finder = finder
        self._tasks = tasks
        self._clock = clock

    async def add(self, ctx: RequestContext, upload: Upload) -> Added:
        """Takes a document in; its first batch of chunks is the day's one request."""
        batches = Batches(ctx, self._clock, self._embeddings)
        ingested = await ingestion.ingest(
            self._knowledge,
            ctx.principal,
            upload,
            batches,
            request_id=ctx.request_id,
            caller=Caller(ctx.user, ctx.groups),
        )
        return Added(ingested, batches.charge, ctx.principal.tenant.currency)

    async def replace(self, ctx: RequestContext, document_id: str, upload: Upload) -> Added:
        """Puts an upload in a document's place; metered as `add` is."""
        batches = Batches(ctx, self._clock, self._embeddings)
        ingested = await ingestion.replace_document(
            self._knowledge,
            ctx.principal,
            document_id,
            upload,
            batches,
            request_id=ctx.request_id,
            caller=Caller(ctx.user, ctx.groups),
        )
        return Added(ingested, batches.charge, ctx.principal.tenant.currency)

    async def reindex(
        self,
        ctx: RequestContext,
        model: str | None,
        dimensions: int | None,
        *,
        again: bool = False,
    ) -> Reindex:
        """Begins or continues taking all documents to another embedding model, or the same."""
        return await self._reindexing.start(ctx, model, dimensions, again=again)

    async def latest_reindex(self, ctx: RequestContext) -> Reindex:
        return await self._reindexing.latest(ctx.principal)

    async def cancel_reindex(self, ctx: RequestContext) -> Reindex:
        return await self._reindexing.cancel(ctx.principal)

    async def page(self, ctx: RequestContext, cursor: str | None, limit: int) -> documents.Page:
        return await documents.list_documents(
            self._knowledge, ctx.principal, groups=ctx.groups, cursor=cursor, limit=limit
        )

    async def get(self, ctx: RequestContext, document_id: str) -> Document:
        return await documents.get_document(
            self._knowledge, ctx.principal, document_id, groups=ctx.groups
        )

    async def content(self, ctx: RequestContext, document_id: str) -> documents.Content:
        return await documents.document_content(
            self._knowledge, ctx.principal, document_id, groups=ctx.groups
        )

    async def remove(self, ctx: RequestContext, document_id: str) -> None:
        await documents.delete_document(
            self._knowledge, ctx.principal, document_id, groups=ctx.groups
        )

    async def find(self, ctx: RequestContext, asked: Search) -> Found:
        """One request of an embedding and, where asked for, a reranking; settled before it is
        shown."""
        asked.check()
        return await asyncio.shield(self._tasks.start(self._find(ctx, asked), name="search"))

    async def _find(self, ctx: RequestContext, asked: Search) -> Found:
        catalogue = await self._planning.catalogue()
        spaces = await self._finder.spaces(ctx.principal)
        planned: list[PlannedSearch] = []

        def planner(principal: Principal, most: int | None) -> list[PlannedCall]:
            planned[:] = [self._finder.plan(principal, catalogue, asked, spaces)]
            return [*planned[0].calls, *planned[0].spare_calls]

        request = await self._gate.open(ctx, planner)
        async with request:
            passages = await self._finder.find(ctx, request, planned[0], asked)
        return Found(passages, request.told_charge, request.principal.tenant.currency)
