"""What tests ask of an embedded cluster."""

import asyncio
from typing import Any

import asyncpg

from tenantry.adapters.postgres.embedded import ClusterStatus, EmbeddedCluster


def status_of(cluster: EmbeddedCluster) -> ClusterStatus:
    status = cluster.status()
    assert status is not None
    return status


def ask(cluster: EmbeddedCluster, query: str, **options: Any) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(cluster.dsn("superuser", **options))
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(run())
