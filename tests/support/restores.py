"""Databases that are restored: copies of one, beside the same objects."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from tests.support import knowledge as support
from tests.support.knowledge_process import Doom, knowledge
from tests.support.pools import app_pool
from tests.support.postgres import Database

from tenantry.adapters.objects.durable_file import ROOT_MARK, DurableFiles
from tenantry.adapters.objects.mark_file import DiskMark
from tenantry.adapters.postgres.named_objects import PostgresNamedObjects
from tenantry.adapters.postgres.object_mark import PostgresMark
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application.belonging import Belonging
from tenantry.application.knowledge import Knowledge
from tenantry.domain.object_mark import DatabaseState

A, B = support.tenant("tnt_" + "a" * 26), support.tenant("tnt_" + "b" * 26)
ALICE, BOB = support.principal(A), support.principal(B)


class TwoTenants:
    """As much of the control plane as sweeps ask for."""

    async def list_tenants(self, *, after: str | None = None, limit: int = 100) -> list[object]:
        return [tenant for tenant in (A, B) if after is None or tenant.id > after][:1]


class SameName(PostgresMark):
    """A database that was put back by its disk: server, timeline and oid are the old ones."""

    async def read(self, line: str | None) -> DatabaseState:
        return dataclasses.replace(await super().read(line), database="7/1/5")


@dataclasses.dataclass
class Process:
    deps: Knowledge
    belonging: Belonging
    file: DiskMark
    named: PostgresNamedObjects


@asynccontextmanager
async def process(
    database: Database,
    root: Path,
    *,
    mark: type[PostgresMark] = PostgresMark,
    trash_s: float = 0.0,
) -> AsyncIterator[Process]:
    accounts = root / "accounts"
    accounts.mkdir(exist_ok=True)
    (accounts / ROOT_MARK).touch()
    control = asyncpg.create_pool(database.dsn("control"), min_size=1, max_size=2)
    async with app_pool(database.dsn("app")) as pool, control:
        deps = knowledge(root, pool, Doom(1_000_000, after=False))
        file = DiskMark(accounts, DurableFiles(accounts))
        belonging = Belonging(mark(control), file)
        disk: Any = deps.objects
        disk = disk._part
        disk._trash_s, disk._may_discard = trash_s, belonging.holds
        yield Process(deps, belonging, file, PostgresNamedObjects(TenantWork(pool)))
        await deps.tasks.close()
        deps.vectors.close()


@asynccontextmanager
async def copied(database: Database, name: str) -> AsyncIterator[Database]:
    """The database as it is now, under another name. Nobody may be connected to it."""
    admin: Any = await asyncpg.connect(database.cluster.dsn("superuser", database="postgres"))
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {database.name}")
        await admin.execute(
            f"GRANT CONNECT ON DATABASE {name} TO tenantry_migrator, tenantry_app,"
            " tenantry_control, tenantry_operator"
        )
        yield Database(name, database.cluster)
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


def aged(root: Path, age_s: float = 7_200.0) -> None:
    """Every object as if it had been written so long ago."""
    at = time.time() - age_s
    for path in root.glob("accounts/*/objects/*/*/*"):
        os.utime(path, (at, at))


def stored(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.glob("accounts/*/objects/*/*/*")}
