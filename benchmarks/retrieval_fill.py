"""Partitions as uploads and merges have left them: one segment of 10,000 rows for each tenant.

    python -m benchmarks.retrieval_fill <part> <of> < tenants.json

A process of its own for each core. Vectors are split, laid out by k-means, sealed and fsynced by
the product's code; the manifest's rows are written in one transaction a tenant as the app role.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys

from tests.support.settings import load_settings

from benchmarks.retrieval_data import CHUNKS, MODEL, Clustered, documents
from benchmarks.retrieval_world import ACCOUNT, World, open_world
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.adapters.sealed.segment import from_document, merged
from tenantry.bootstrap.database import attach
from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId
from tenantry.ports.manifest import NewSegment

ROWS, DIMENSIONS = 10_000, 1_024
_READY = (
    "INSERT INTO tenantry.document (tenant_id, document_id, state, content_hmac, original_id,"
    " original_bytes, api_key_id, passages, segment_id)"
    " SELECT $1, name, 'ready', hmac, 'obj_' || name, 1000, 'key_bench', $4, $5"
    " FROM unnest($2::text[], $3::bytea[]) AS made (name, hmac)"
)


async def fill(world: World, work: TenantWork, home: Home, seed: int) -> None:
    """One tenant's passages, durable and committed."""
    await world.keys.create(home)

    def build() -> object:
        vectors = Clustered(seed, DIMENSIONS).rows(ROWS)
        parts = [from_document(one) for one in documents(vectors)]
        return merged([(part, frozenset(part.ids)) for part in parts], seed)

    segment = await asyncio.to_thread(build)
    row = await world.partitions._store.write(home, segment, MODEL, 1)  # type: ignore[arg-type]
    await _commit(work, home.tenant_id, row, list(segment.ids))  # type: ignore[attr-defined]


async def _commit(work: TenantWork, tenant_id: TenantId, row: NewSegment, names: list[str]) -> None:
    sql = statements("sql/manifest.sql")
    async with work.writing(tenant_id) as unit:
        await unit.execute(sql["open_partition"], tenant_id)
        await unit.execute(
            sql["insert_segment"],
            tenant_id,
            row.id,
            row.generation,
            row.dimensions,
            row.rows,
            row.size_bytes,
        )
        digests = [secrets.token_bytes(32) for _ in names]
        await unit.execute(_READY, tenant_id, names, digests, CHUNKS, row.id)
        await unit.execute(sql["pin"], tenant_id, row.model, row.dimensions)


async def fill_all(tenants: list[str], part: int, of: int) -> None:
    config = load_settings()
    dsn_for = attach(config)
    databases = await Databases.open(dsn_for)
    work = TenantWork(databases.app)
    try:
        async with open_world(dsn_for, config.home / "accounts", open_bytes_max=1) as world:
            for number in range(part, len(tenants), of):
                await fill(world, work, Home(TenantId(tenants[number]), ACCOUNT), number)
    finally:
        await databases.close()


if __name__ == "__main__":
    asyncio.run(fill_all(json.load(sys.stdin), int(sys.argv[1]), int(sys.argv[2])))
