"""One process's knowledge of two tenants, in one PostgreSQL and on one disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support import knowledge as support
from tests.support.knowledge_process import Doom, knowledge
from tests.support.pools import app_pool
from tests.support.postgres import Database

from tenantry.application.knowledge import Knowledge

A = support.tenant("tnt_" + "a" * 26)
B = support.tenant("tnt_" + "b" * 26)
ALICE, BOB = support.principal(A), support.principal(B)


@asynccontextmanager
async def process(database: Database, root: Path) -> AsyncIterator[Knowledge]:
    async with app_pool(database.dsn("app")) as pool:
        deps = knowledge(root, pool, Doom(1_000_000, after=False))
        yield deps
        deps.vectors.close()
