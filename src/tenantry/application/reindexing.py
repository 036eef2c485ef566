"""Taking all documents of a tenant to another embedding model, or to the same one again, while
they are searched.

| # | step | durable after it |
|---|---|---|
| 1 | open the reindex: model, dimensions, the API key that pays | the reindex, `running` |
| 2 | each ready document: read, split, embed, publish into the next edition | each batch |
| 3 | where none is missing: model, dimensions and segments are switched in one commit | `done` |

Searches are answered from the old index until 3, and from the new one after it. What is uploaded or
replaced meanwhile is put into the old index, is searched at once, and is carried over by 2. A claim
keeps it in one process; whoever takes over a dead one's embeds at most one batch again. A refusal
that does not pass, such as a spent budget, pauses it: the old index is whole, what is embedded is
kept, and starting it again goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tenantry.application import patience as waiting
from tenantry.application.context import RequestContext
from tenantry.application.embeddings import Embeddings
from tenantry.application.kept_batches import (
    Payer,
    Vectors,
    embed,
    embed_chunks,
    forget_batches,
)
from tenantry.application.knowledge import Knowledge
from tenantry.application.patience import claimed, in_background
from tenantry.domain.chunk import Chunk, ChunkLimit
from tenantry.domain.document import Card, DocumentRow, IndexEdition, PageCount, home_of
from tenantry.domain.errors import (
    BadRequest,
    Conflict,
    LargerThanLimit,
    NotFound,
    TenantryError,
    UpstreamRefused,
    UpstreamRubbish,
)
from tenantry.domain.ids import DocumentId, ReindexId, TenantId, prefixed, uuid7
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal, Tenant
from tenantry.domain.vector_lengths import DIMENSIONS_MAX
from tenantry.ports.embedding import EMBED_BATCH
from tenantry.ports.reindexing import Reindex, Reindexes, Switched
from tenantry.ports.vectors import Embedded

PENDING_MAX = 64  # documents looked at at once
# How long the switch waits for uploads under way, which would have to be embedded again.
SWITCH_PATIENCE_S = 600.0
SWITCH_LOOK_EVERY_S = 0.5
_OF_A_TEXT = (400, 413, 422)  # statuses by which a model refuses what it was sent
_PROBE = "word"  # no model that can be called refuses it
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Read:
    """A document as it is embedded."""

    row: DocumentRow
    card: Card
    chunks: Sequence[Chunk]
    pages: PageCount | None


class Reindexing:
    """One for each worker."""

    def __init__(
        self,
        knowledge: Knowledge,
        reindexes: Reindexes,
        embeddings: Embeddings,
    ) -> None:
        self._knowledge = knowledge
        self._reindexes = reindexes
        self._embeddings = embeddings

    async def start(
        self,
        ctx: RequestContext,
        model: str | None,
        dimensions: int | None,
        *,
        again: bool = False,
    ) -> Reindex:
        """Begin, or go on with the paused one of this model; idempotent while it runs.

        No model: the one that the documents have, and its dimensions. `again`: also where they have
        both already. Where there are none, it says where the next one is put. The principal's API
        key pays. Its batches are together one request of the day. Conflict as for
        `Reindexes.begin` and `Vectors.check_reach`; refused as a call to the model would be.
        """
        deps, tenant_id = self._knowledge, ctx.principal.tenant_id
        if model is None:
            model, dimensions = await self._as_it_is(tenant_id, dimensions)
        space = await self._checked(ctx.principal, model, dimensions)
        deps.tasks.check(tenant_id)
        await deps.vectors.check_reach(tenant_id)  # the index of before is deleted where it is
        now_ms = int(deps.clock.now().timestamp() * 1_000)
        reindex_id = ReindexId(prefixed("rdx", uuid7(now_ms, deps.clock.random(10))))
        reindex, ours = await self._reindexes.begin(
            tenant_id,
            reindex_id,
            space,
            deps.vectors.pinned(space.model),
            ctx.principal.api_key_id,
            ctx.request_id,
            waiting.LEASE_S,
            again=again,
        )
        if ours:
            self._run(ctx.principal, reindex)
        return reindex

    async def latest(self, principal: Principal) -> Reindex:
        """The open one, or the last one. NotFound where there was none."""
        found = await self._reindexes.latest(principal.tenant_id)
        if found is None:
            raise NotFound("The documents were never reindexed.")
        return found

    async def cancel(self, principal: Principal) -> Reindex:
        """End the open one; the old index stays. NotFound where none is open."""
        found = await self._reindexes.cancel(principal.tenant_id)
        if found is None:
            raise NotFound("No reindex is running or paused.")
        return found

    async def resume(self, tenants: Iterable[Tenant]) -> int:
        """Take over reindexes whose process died. Returns how many were started."""
        started = 0
        for tenant in tenants:
            if self._knowledge.tasks.full(tenant.id):
                continue
            reindex = await self._reindexes.claim(tenant.id, waiting.LEASE_S)
            if reindex is not None:
                self._run(Principal(tenant, reindex.api_key_id), reindex)
                started += 1
        return started

    async def _as_it_is(self, tenant_id: TenantId, dimensions: int | None) -> tuple[str, int]:
        spaces = await self._knowledge.manifest.spaces(tenant_id)
        found = spaces.live or spaces.kept
        if found is None:
            raise Conflict("There is nothing to reindex: there never was a document.")
        return found.model, found.dimensions if dimensions is None else dimensions

    async def _checked(self, principal: Principal, model: str, dimensions: int | None) -> Space:
        """The space that is asked for, of a model that can be called and priced."""
        if dimensions is not None and not 1 <= dimensions <= DIMENSIONS_MAX:
            raise BadRequest(f"`dimensions` must be a whole number from 1 to {DIMENSIONS_MAX:,}.")
        return await self._embeddings.checked_space(principal, model, dimensions)

    def _run(self, principal: Principal, reindex: Reindex) -> None:
        run = _Run(self._knowledge, self._reindexes, principal, reindex)
        self._knowledge.tasks.start(run.to_its_end(), f"reindex {reindex.id}", principal.tenant_id)


class _Stopped(Exception):
    """It was cancelled or paused elsewhere, or another process has it now."""


class _Run:
    """One reindex in this process."""

    def __init__(
        self, deps: Knowledge, reindexes: Reindexes, principal: Principal, reindex: Reindex
    ) -> None:
        self._deps = deps
        self._reindexes = reindexes
        self._home = home_of(principal.tenant)
        self._id = reindex.id
        self._space = reindex.space
        request = deps.embedder.background(reindex.request_id)
        self._payer = Payer(principal, request, in_background())
        self._reading: DocumentId | None = None  # whose fault a refusal would be
        self._accepted = False  # whether the model has embedded anything in this run

    async def to_its_end(self) -> None:
        tenant_id = self._home.tenant_id
        try:
            async with claimed(partial(self._reindexes.keep, tenant_id, self._id)):
                await self._all()
        except _Stopped:
            return
        except Exception as error:
            code = error.code if isinstance(error, TenantryError) else TenantryError.code
            await self._reindexes.pause(tenant_id, self._id, code, self._reading)
            raise

    async def _all(self) -> None:
        waits_until: float | None = None
        after: DocumentId | None = None
        while True:
            await self._keep(0)
            step = partial(self._reindexes.pending, self._home.tenant_id, after, PENDING_MAX)
            rows = await self._patiently(step)
            if rows:
                await self._some(rows)
            if rows or after is not None:
                # At the end once more from the beginning: what was replaced behind us.
                after = rows[-1].id if rows else None
                continue
            now = self._deps.clock.monotonic()
            waits_until = waits_until or now + SWITCH_PATIENCE_S
            patient = now < waits_until
            match await self._patiently(partial(self._switch, patient)):
                case Switched.DONE:
                    return
                case Switched.GONE:
                    raise _Stopped
                case Switched.WAIT:
                    await asyncio.sleep(SWITCH_LOOK_EVERY_S)
                case Switched.MORE:
                    continue

    async def _switch(self, patient: bool) -> Switched:
        return await self._reindexes.switch(self._home.tenant_id, self._id, patient=patient)

    async def _some(self, rows: Sequence[DocumentRow]) -> None:
        """Small documents share a batch; a larger one has its own, kept one by one."""
        shared: list[_Read] = []
        chunks = 0
        for row in rows:
            read = await self._read(row)
            if read is None:
                continue
            if chunks + len(read.chunks) > EMBED_BATCH and shared:
                await self._together(shared)
                shared, chunks = [], 0
            if len(read.chunks) > EMBED_BATCH:
                await self._alone(read)
            else:
                shared.append(read)
                chunks += len(read.chunks)
        if shared:
            await self._together(shared)

    async def _read(self, row: DocumentRow) -> _Read | None:
        """None: it was deleted or replaced meanwhile."""
        self._reading = row.id
        read = None
        try:
            limit = await self._patiently(self._limit)
            step = partial(self._deps.read, self._home, row, limit)
            read = _Read(row, *await self._patiently(step))
        except NotFound:
            held = await self._deps.manifest.document(self._home.tenant_id, row.id)
            if held is not None and held.original_id == row.original_id:
                raise  # its original is lost
        self._reading = None
        await self._keep(0)
        return read

    async def _together(self, documents: Sequence[_Read]) -> None:
        try:
            await self._carry_over(documents)
        except (UpstreamRefused, LargerThanLimit) as refused:
            if not _may_be_a_document_s(refused):
                raise
            await self._one_by_one(documents)

    async def _one_by_one(self, documents: Sequence[_Read]) -> None:
        """What is not the reason is indexed before the refusal is raised. Where the model refuses
        everything, no document is the reason, and none after the first is tried.
        """
        first: tuple[DocumentId, TenantryError] | None = None
        for read in documents:
            try:
                await self._carry_over([read])
            except (UpstreamRefused, LargerThanLimit) as refused:
                if not await self._accepts_others(refused):
                    raise
                first = first or (read.row.id, refused)
        if first is not None:
            self._reading, refusal = first
            raise refusal

    async def _accepts_others(self, refused: TenantryError) -> bool:
        """Whether it is the text that was refused: the model embeds another one."""
        if not _may_be_a_document_s(refused):
            return False
        if not self._accepted:
            try:
                await embed(self._deps, self._payer, self._space, [_PROBE])
            except (UpstreamRefused, LargerThanLimit):
                return False
            self._accepted = True
        return True

    async def _carry_over(self, documents: Sequence[_Read]) -> None:
        texts = [chunk.text for read in documents for chunk in read.chunks]
        vectors = await embed(self._deps, self._payer, self._space, texts)
        self._accepted = True
        first = 0
        for read in documents:
            await self._publish(read, vectors[first : first + len(read.chunks)])
            first += len(read.chunks)

    async def _alone(self, read: _Read) -> None:
        try:
            vectors, names = await embed_chunks(
                self._deps,
                self._home,
                read.row.content_hmac,
                read.chunks,
                self._payer,
                self._space,
                self._keep,
                {},
            )
        except (UpstreamRefused, LargerThanLimit) as refused:
            if await self._accepts_others(refused):
                self._reading = read.row.id
            raise
        self._accepted = True
        await self._publish(read, vectors)
        await forget_batches(self._deps, self._home, names)

    async def _publish(self, read: _Read, vectors: Vectors) -> None:
        """Where the document is not that version any more, another round finds what it is."""
        document = Embedded(
            document_id=read.row.id,
            card=read.card,
            model=self._space.model,
            chunks=read.chunks,
            vectors=vectors,
            original_id=read.row.original_id,
            edition=IndexEdition.NEXT,
            pages=read.pages,
        )
        try:
            done = await self._patiently(lambda: self._deps.vectors.publish(self._home, document))
        except ValueError as error:
            raise UpstreamRubbish("The embedding model returned unusable vectors.") from error
        await self._keep(0)
        if not done and await self._is_still(read.row):
            # Never again and again: each time would be paid for.
            self._reading = read.row.id
            raise Conflict("A document does not get into the new index.")

    async def _is_still(self, row: DocumentRow) -> bool:
        tenant_id = self._home.tenant_id
        return await self._patiently(lambda: self._reindexes.is_pending(tenant_id, row))

    async def _keep(self, done: int) -> None:
        step = partial(self._reindexes.keep, self._home.tenant_id, self._id, waiting.LEASE_S)
        if not await self._patiently(step):
            raise _Stopped

    async def _limit(self) -> ChunkLimit:
        return await self._deps.embedder.chunk_limit(self._payer.principal, self._space)

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        return await self._payer.patience(step)


def _may_be_a_document_s(refused: TenantryError) -> bool:
    """Whether another text might not be refused: a model that may not be called refuses all."""
    return not isinstance(refused, UpstreamRefused) or refused.status in _OF_A_TEXT
