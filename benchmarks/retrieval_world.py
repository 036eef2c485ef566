"""Sealed partitions as a worker has them: PostgreSQL's manifest, files, keys, one event loop."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import numpy as np
from tests.support.local_keyring import LocalKeyring
from tests.support.vectors import values

from benchmarks.retrieval_data import F32, MODEL
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.connections import Databases, DsnFor
from tenantry.adapters.postgres.manifest import PostgresManifest
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.sealed.ranked import unit
from tenantry.domain.access import Permission
from tenantry.domain.chunk import Passage
from tenantry.domain.document import DocumentLimits, DocumentRow, DocumentState, Home
from tenantry.domain.ids import ApiKeyId, DocumentId, TenantId
from tenantry.ports.objects import ObjectKind
from tenantry.ports.vectors import Embedded, Query

ACCOUNT = "111111111111"
POOL_DEFINITION = f'{{"kind": "pool", "account": "{ACCOUNT}", "region": "us-east-1"}}'
TOP_K = 5
ANYONE = Permission(frozenset())  # as of a key without groups, and no filter
_UNLIMITED = DocumentLimits(None, None)
_LEASE_S = 600.0
_EXACT = 1e-9  # of scores that are summed in another order


@dataclass(slots=True)
class World:
    manifest: PostgresManifest
    objects: DiskObjects
    keys: LocalKeyring
    files: DurableFiles
    partitions: SealedPartitions
    accounts: Path
    homes: dict[str, Home] = field(default_factory=dict)

    async def search(self, home: Home, query: Sequence[float]) -> Sequence[Passage]:
        """The whole search of a worker: manifest, key, scan, frames, texts."""
        return await self.partitions.search(home, MODEL, Query(query), TOP_K, ANYONE)

    async def times_ms(self, home: Home, queries: F32) -> list[float]:
        times = []
        for query in queries.tolist():
            begun = time.perf_counter()
            await self.search(home, query)
            times.append((time.perf_counter() - begun) * 1_000)
        return times

    async def load(self, home: Home, documents: Iterable[Embedded]) -> int:
        """Publish documents one after the other, as uploads do. Returns how many rows."""
        rows = 0
        for document in documents:
            await self.manifest.insert(
                home.tenant_id, row_of(document.document_id), _UNLIMITED, _LEASE_S
            )
            assert await self.partitions.publish(home, document)
            rows += len(document.chunks)
        return rows

    def forget_file_pages(self, home: Home, names: Iterable[str]) -> None:
        """Let the kernel drop what it keeps of these segments: the next read is the disk's."""
        for name in names:
            path = self.objects._path(home, ObjectKind.SEGMENT, name)
            file = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)

    async def truth(self, home: Home, queries: F32) -> list[list[float]]:
        """The best scores by brute force over the stored 16-bit values of live rows."""
        view = await self.manifest.partition(home.tenant_id)
        units = np.array([unit(query) for query in queries.tolist()], dtype=np.float64)
        parts = []
        for row in view.segments:
            segment = await self.partitions._store.load(home, row)
            documents = np.array([name in row.documents for name in segment.ids])
            live = documents[segment.catalogue.documents]
            parts.append(values(segment.vectors)[live] @ units.T)
        scores = np.concatenate(parts)
        found: list[list[float]] = (-np.sort(-scores, axis=0)[:TOP_K].T).tolist()
        return found

    async def recall(self, home: Home, queries: F32) -> float:
        """Of the best by brute force over the stored values, how many were found."""
        found = 0
        for query, best in zip(queries, await self.truth(home, queries), strict=True):
            hits = await self.search(home, query.tolist())
            found += sum(hit.score >= best[-1] - _EXACT for hit in hits)
        return found / (TOP_K * len(queries))


@asynccontextmanager
async def open_world(
    dsn_for: DsnFor, accounts: Path, *, open_bytes_max: int
) -> AsyncIterator[World]:
    """A worker's parts over this database and folder."""
    databases = await Databases.open(dsn_for)
    files, clock = DurableFiles(), SystemClock()
    keys = LocalKeyring(accounts, files, LocalKms(accounts, files), clock.monotonic)
    objects = DiskObjects(accounts, files)
    manifest = PostgresManifest(TenantWork(databases.app))
    partitions = SealedPartitions(manifest, objects, keys, clock, open_bytes_max=open_bytes_max)
    try:
        yield World(manifest, objects, keys, files, partitions, accounts)
    finally:
        partitions.close()
        keys.close()
        await databases.close()


async def add_tenant(dsn: str, world: World, name: str) -> Home:
    """A tenant with a key of its own, by the database's superuser."""
    tenant_id = TenantId("tnt_" + name.ljust(26, "x"))
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "INSERT INTO tenantry.placement (placement_id, kind, definition)"
            " VALUES ('pool', 'pool', $1) ON CONFLICT DO NOTHING",
            POOL_DEFINITION,
        )
        await connection.execute(
            "INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id)"
            " VALUES ($1, $1, 'free', 'pool')",
            tenant_id,
        )
    finally:
        await connection.close()
    home = Home(tenant_id, ACCOUNT)
    await world.keys.create(home)
    return home


def row_of(document_id: DocumentId) -> DocumentRow:
    now = datetime.now(UTC)
    return DocumentRow(
        document_id,
        DocumentState.INDEXING,
        secrets.token_bytes(32),
        f"obj_{document_id}",
        ApiKeyId("key_bench"),
        1_000,
        0,
        now,
        now,
    )


def quantiles(times_ms: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(times_ms, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def nearest(vectors: F32, queries: F32) -> list[set[int]]:
    """The rows of the best cosines in float32 as given: what no store of 16 bits need equal."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = queries @ units.T
    best = np.argpartition(-scores, TOP_K, axis=1)[:, :TOP_K]
    return [set(row.tolist()) for row in best]


def shared(found: Sequence[set[int]], wanted: Sequence[set[int]]) -> float:
    """Recall: the share of what is wanted that was found."""
    pairs = zip(found, wanted, strict=True)
    return round(sum(len(a & b) for a, b in pairs) / (TOP_K * len(wanted)), 4)
