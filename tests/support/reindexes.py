"""A worker's knowledge and reindexes over PostgreSQL, and what they were asked to embed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support import knowledge as support
from tests.support.knowledge_process import Doom, knowledge
from tests.support.pools import app_pool
from tests.support.postgres import Database

from tenantry.adapters.postgres.reindexes import PostgresReindexes
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.sealed.segment import from_document
from tenantry.application import ingestion, retrieval, tending
from tenantry.application.context import RequestContext
from tenantry.application.knowledge import Knowledge
from tenantry.application.reindexing import Reindexing
from tenantry.domain.document import IndexEdition, home_of
from tenantry.domain.ids import RequestId, uuid7
from tenantry.domain.space import Space
from tenantry.domain.upload import upload_from_text
from tenantry.ports.objects import ObjectKind
from tenantry.ports.reindexing import Reindex
from tenantry.ports.vectors import Embedded

A, B = support.tenant("tnt_" + "a" * 26), support.tenant("tnt_" + "b" * 26)
ALICE, BOB = support.principal(A), support.principal(B)
OLD, NEW = Space(support.MODEL, support.DIMENSIONS), Space("test.words-v2", 128)
LARGE = "\n\n".join(f"Paragraph {n} of word{n}. " + "x" * 900 for n in range(200))


LOOKS_MAX = 3_000


async def until(what: Callable[[], bool]) -> None:
    for _ in range(LOOKS_MAX):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to that")


class AnyModel:
    """As much of `Embeddings` as a reindex asks for before it begins."""

    async def checked_space(self, _: object, model: str, dimensions: int) -> Space:
        return Space(model, dimensions)


class Process:
    """One worker's knowledge and reindexes."""

    def __init__(self, deps: Knowledge, pool: Any) -> None:
        self.deps = deps
        self.pool = pool
        self.embedder: support.WordEmbedder = deps.embedder  # type: ignore[assignment]
        reindexes = PostgresReindexes(TenantWork(pool))
        self.reindexing = Reindexing(deps, reindexes, AnyModel())  # type: ignore[arg-type]

    async def upload(self, who: object, title: str, text: str) -> str:
        body = upload_from_text({"title": title, "text": text})
        return (await ingestion.ingest(self.deps, who, body)).document.id

    async def replace(self, who: object, document_id: str, text: str) -> None:
        body = upload_from_text({"title": "new", "text": text})
        await ingestion.replace_document(self.deps, who, document_id, body)

    async def found(self, who: object, query: str) -> list[str]:
        passages = await retrieval.search(self.deps, who, query, top_k=9)
        return [passage.text for passage in passages]

    async def start(self, who: Any, space: Space | None = NEW, *, again: bool = False) -> Reindex:
        request_id = RequestId(uuid7(1, self.deps.clock.random(10)))
        ctx = RequestContext(request_id, who)
        model, dimensions = (None, None) if space is None else (space.model, space.dimensions)
        return await self.reindexing.start(ctx, model, dimensions, again=again)

    async def state(self, who: Any) -> Reindex:
        return await self.reindexing.latest(who)

    async def reaches(self, what: Callable[[Reindex], bool]) -> None:
        """Returns once Alice's reindex is so."""
        for _ in range(LOOKS_MAX):
            if what(await self.state(ALICE)):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the reindex does not get there")

    def embedded(self, space: Space) -> int:
        """How many passages were embedded in a space."""
        pairs = zip(self.embedder.calls, self.embedder.spaces, strict=True)
        return sum(count for (_, count, kind), at in pairs if kind == "document" and at == space)

    def held(self, space: Space) -> tuple[asyncio.Event, asyncio.Event]:
        """Embedding documents in a space says so, and waits until it may."""
        reached, go = asyncio.Event(), asyncio.Event()
        embed = self.embedder.embed

        async def gated(*given: Any) -> Any:
            if given[4] == space and given[2] == "document":
                reached.set()
                await go.wait()
            return await embed(*given)

        self.embedder.embed = gated  # type: ignore[method-assign]
        return reached, go


Scene = Callable[[Process], Awaitable[None]]


@asynccontextmanager
async def process(database: Database, root: Path) -> AsyncIterator[Process]:
    async with app_pool(database.dsn("app")) as pool:
        one = Process(knowledge(root, pool, Doom(1_000_000, after=False)), pool)
        try:
            yield one
        finally:
            await one.deps.tasks.close()
            one.deps.vectors.close()


async def segments(one: Process, who: Any) -> set[str]:
    entries = await one.deps.objects.list(home_of(who.tenant), ObjectKind.SEGMENT)
    return {entry.object_id for entry in entries}


async def is_tidy(one: Process, who: Any) -> None:
    """What is stored is what is named, after the sweep."""
    home = home_of(who.tenant)
    await support.settled(one.deps.vectors)
    await tending.sweep_orphans(home, one.deps.objects, one.deps.manifest, support.ours, age_s=0.0)
    kinds = (ObjectKind.ORIGINAL, ObjectKind.SEGMENT, ObjectKind.BATCH)
    stored = {e.object_id for kind in kinds for e in await one.deps.objects.list(home, kind)}
    assert stored == await one.deps.manifest.objects(home.tenant_id)
    assert not await one.deps.objects.list(home, ObjectKind.BATCH)


class LateMerges:
    """A manifest whose merges come late."""

    def __init__(self, manifest: Any, merge: Any) -> None:
        self._manifest = manifest
        self.merge = merge

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manifest, name)


async def publish_next(one: Process, row: Any, card: Any, chunks: Any, vectors: Any) -> None:
    document = Embedded(
        row.id, card, NEW.model, chunks, vectors, row.original_id, IndexEdition.NEXT
    )
    store = one.deps.vectors._store  # type: ignore[attr-defined]
    segment = await store.write(home_of(A), from_document(document), NEW.model, 99)
    assert await one.deps.manifest.publish(
        A.id, segment, row.id, row.original_id, IndexEdition.NEXT
    )
