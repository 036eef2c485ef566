"""Each scene is played on the manifest in memory and on the one in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.support import knowledge as support
from tests.support.pools import app_pool
from tests.support.postgres import Database

from tenantry.adapters.postgres.manifest import PostgresManifest
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.ids import TenantId
from tenantry.ports.manifest import Manifest

A, B = TenantId("tnt_" + "a" * 26), TenantId("tnt_" + "b" * 26)
Scene = Callable[[Manifest], Awaitable[None]]


@pytest.fixture(params=["memory", "postgres"])
def played(request: pytest.FixtureRequest) -> Callable[[Scene], None]:
    if request.param == "memory":
        return lambda scene: asyncio.run(scene(support.MemoryManifest()))
    database: Database = request.getfixturevalue("database")

    async def on_postgres(scene: Scene) -> None:
        await support.add_tenants(database, A, B)
        async with app_pool(database.dsn("app")) as pool:
            await scene(PostgresManifest(TenantWork(pool)))

    return lambda scene: asyncio.run(on_postgres(scene))
