"""One process's knowledge over real files, keys and parsers, and what tests do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.support import knowledge as support

from tenantry.adapters.extraction.extractor import FileExtractor
from tenantry.adapters.extraction.splitter import SemanticSplitter
from tenantry.application import documents, ingestion, retrieval
from tenantry.application.indexing_tasks import IndexingTasks
from tenantry.application.ingestion import Ingested
from tenantry.application.knowledge import Knowledge
from tenantry.domain.document import Document
from tenantry.domain.upload import Upload, upload_from_text
from tenantry.ports.objects import ObjectKind

A = support.tenant("tnt_a")
B = support.tenant("tnt_b", silo=True)
ALICE, BOB = support.principal(A), support.principal(B)
LARGE = "\n\n".join(f"Paragraph {n} on the matter of word{n}. " + "x" * 900 for n in range(1200))


class World:
    """One process's knowledge; `again` is the next process on the same disk and manifest."""

    def __init__(self, root: Path, manifest: support.MemoryManifest | None = None) -> None:
        own = support.parts(root)
        self.root = root
        self.manifest = manifest or support.MemoryManifest()
        self.embedder = support.WordEmbedder()
        self.partitions = support.partitions(own, self.manifest)
        self.deps = Knowledge(
            manifest=self.manifest,
            objects=own.objects,
            keys=own.keys,
            sealer=own.sealer,
            vectors=self.partitions,
            extractor=FileExtractor(),
            splitter=SemanticSplitter(),
            embedder=self.embedder,
            clock=own.clock,
            tasks=IndexingTasks(),
        )

    def again(self) -> World:
        return World(self.root, self.manifest)

    async def originals(self, owner: object) -> int:
        home = support.home(owner)
        return len(await self.deps.objects.list(home, ObjectKind.ORIGINAL))


def text(title: str, body: str, **more: object) -> Upload:
    return upload_from_text({"title": title, "text": body, **more})


async def titles(world: World, who: object, query: str, **more: object) -> list[str]:
    found = await retrieval.search(world.deps, who, query, **more)
    return [passage.title for passage in found]


Scene = Callable[[World], Awaitable[None]]


async def add(world: World, upload: Upload, who: Any = ALICE) -> Document:
    return (await ingestion.ingest(world.deps, who, upload)).document


async def put(
    world: World, of: Document, upload: Upload, who: Any = ALICE, **more: Any
) -> Ingested:
    return await ingestion.replace_document(world.deps, who, of.id, upload, **more)


async def shown(world: World, of: Document) -> Document:
    return await documents.get_document(world.deps, ALICE, of.id)


async def stored(world: World, kind: ObjectKind) -> int:
    return len(await world.deps.objects.list(support.home(A), kind))


def held(world: World, at: int = 1) -> tuple[asyncio.Event, asyncio.Event]:
    """The `at`-th batch that is embedded from now on says so, and waits until it may."""
    reached, go, embed = asyncio.Event(), asyncio.Event(), world.embedder.embed
    left = [at]

    async def gated(*given: Any) -> Any:
        if given[2] == "document":
            left[0] -= 1
            if left[0] == 0:
                reached.set()
                await go.wait()
        return await embed(*given)

    world.embedder.embed = gated
    return reached, go
