"""Writes `src/tenantry/adapters/postgres/walls.txt`: the walls of a fresh database with pgvector.

`python -m tools.write_walls`, after each migration and each change of `pgvector.sql`; a test holds
the file to what this makes.
"""

from __future__ import annotations

import asyncio

import asyncpg
from tests.support import engines
from tests.support.postgres import Database, running_databases

from tenantry.adapters.postgres.audit_access import AuditAccess
from tenantry.adapters.postgres.walls import TARGET, to_text

_TENANT = "tnt_of_a_room"


async def open_room(database: Database, tenant: str, *, indexed_dimensions: int = 0) -> None:
    """The tenant's partition in pgvector, as its first document makes it. 0: without an index."""
    connection = await asyncpg.connect(database.dsn("superuser"))
    async with connection.transaction():
        await connection.execute("SELECT set_config('tenantry.tenant', $1, true)", tenant)
        await connection.execute("SELECT tenantry_vectors.open_room($1)", indexed_dimensions)
    await connection.close()


async def text_of(database: Database) -> str:
    """The file as a freshly migrated database makes it, with pgvector in use by a tenant."""
    await engines.prepare(database)
    await open_room(database, _TENANT)
    access = AuditAccess(database.dsn)
    try:
        walls = await access.walls()
        return to_text(walls.migrations, walls.facts)
    finally:
        await access.close()


def main() -> None:
    with running_databases() as databases:
        TARGET.write_text(asyncio.run(text_of(databases.create())), encoding="utf-8")


if __name__ == "__main__":
    main()
