"""Every vector engine behind the port, each started as a test needs it, under two tenants."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
from tests.support import knowledge as support
from tests.support import pinecone_stand_in, weaviate_stand_in
from tests.support.postgres import Database

from tenantry.adapters.postgres.pgvector import open_pgvector, prepare_pgvector
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.vectors import opensearch, pinecone, weaviate
from tenantry.adapters.vectors.engine import Engine
from tenantry.adapters.vectors.partitions import EnginePartitions
from tenantry.adapters.vectors.pgvector import Pgvector
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Card, Home
from tenantry.domain.ids import DocumentId
from tenantry.ports.vectors import Embedded, Query, Vectors

SECRET = b"a secret of the deployment, in tests"
ENGINES = ("sealed", "pgvector", "pgvector-hnsw", "opensearch", "pinecone", "weaviate")
EXACT = ("sealed", "pgvector", "opensearch", "weaviate")
OUTSIDE = tuple(name for name in ENGINES if name != "sealed")
_numbers = itertools.count(1)

OpenEngine = Callable[[], Awaitable[Engine]]


def anyone(card: Card) -> bool:
    return True


@dataclasses.dataclass
class Scene:
    """A world of two tenants who share an engine, a manifest and a disk."""

    own: support.Parts
    manifest: support.MemoryManifest
    vectors: Vectors
    anna: Home
    bert: Home
    open_engine: OpenEngine | None = None  # None: sealed partitions, which have no engine

    async def add(
        self, home: Home, name: str, *texts: str, document: Embedded | None = None, **card: object
    ) -> None:
        await self.insert(home, name)
        wanted = document or support.embedded(name, texts, **card)
        assert await self.vectors.publish(home, wanted)

    async def insert(self, home: Home, name: str) -> None:
        await self.manifest.insert(
            home.tenant_id, support.row(name), support.UNLIMITED, support.LEASE_S
        )

    async def hits(
        self,
        home: Home,
        text: str,
        top_k: int = 5,
        permitted: Callable[[Card], bool] = anyone,
    ) -> Sequence[Passage]:
        query = Query(support.vector_of(text), text)
        return await self.vectors.search(home, support.MODEL, query, top_k, permitted)

    async def found(self, home: Home, text: str, top_k: int = 5) -> list[str]:
        return [hit.text for hit in await self.hits(home, text, top_k)]

    def over(self, engine: Any, manifest: Any = None) -> EnginePartitions:
        """The same world through another engine object or manifest."""
        return EnginePartitions(
            engine, manifest or self.manifest, self.own.keys, self.own.sealer, self.own.clock
        )


@contextlib.asynccontextmanager
async def scene_of(root: Path, open_engine: OpenEngine | None) -> AsyncIterator[Scene]:
    """Fresh tenants each time, so that scenes can share what an engine keeps."""
    own, manifest = support.parts(root), support.MemoryManifest()
    number = next(_numbers)
    anna = support.home(support.tenant(f"tnt_anna{number}"))
    bert = support.home(support.tenant(f"tnt_bert{number}", silo=True))
    for home in (anna, bert):
        await own.keys.create(home)
    if open_engine is None:
        sealed = support.partitions(own, manifest)
        try:
            yield Scene(own, manifest, sealed, anna, bert)
        finally:
            sealed.close()
        return
    vectors = EnginePartitions(await open_engine(), manifest, own.keys, own.sealer, own.clock)
    try:
        yield Scene(own, manifest, vectors, anna, bert, open_engine)
    finally:
        await vectors.close()


async def pgvector_at(database: Database, *, indexed: bool = False) -> Engine:
    pool = await open_pgvector(lambda: database.dsn("app"), SECRET, "tenantry tests")
    sql = statements("sql/pgvector.sql")
    return Pgvector(TenantWork(pool), sql, pool.close, indexed=indexed)


async def opensearch_at(url: str) -> Engine:
    return opensearch.OpenSearch(opensearch.connect(url))


async def pinecone_at(url: str) -> Engine:
    return pinecone.Pinecone(pinecone.connect(url, pinecone_stand_in.API_KEY))


async def weaviate_at(url: str, grpc_url: str) -> Engine:
    return weaviate.Weaviate(weaviate.connect(url, grpc_url, weaviate_stand_in.API_KEY))


async def engine_down(name: str) -> Engine:
    """The engine of this name, of which nothing answers."""
    nothing = "127.0.0.1:1"
    if name == "opensearch":
        return await opensearch_at(f"http://{nothing}")
    if name == "pinecone":
        return await pinecone_at(f"http://{nothing}")
    if name == "weaviate":
        return await weaviate_at(f"http://{nothing}", "http://127.0.0.1:2")
    dsn = f"postgresql://tenantry_app@{nothing}/nothing?sslmode=disable"
    pool = await open_pgvector(lambda: dsn, SECRET, "tenantry tests")
    sql = statements("sql/pgvector.sql")
    return Pgvector(TenantWork(pool), sql, pool.close, indexed=name == "pgvector-hnsw")


async def prepare(database: Database) -> None:
    await prepare_pgvector(database.dsn("superuser"), SECRET)


async def prepare_roles(database: Database) -> None:
    """The engine's roles on the server, and nothing in this database."""
    connection = await asyncpg.connect(database.dsn("superuser"))
    for role in ("tenantry_vectors_owner", "tenantry_vectors"):
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f"CREATE ROLE {role} NOLOGIN")
    await connection.close()


def ids(*names: str) -> frozenset[DocumentId]:
    return frozenset(DocumentId(name) for name in names)
