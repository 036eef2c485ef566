"""Writes `src/tenantry/adapters/postgres/walls.txt`: what the migrations make of the walls.

`python -m tools.write_walls`, after each migration; a test holds the file to what this makes.
"""

from __future__ import annotations

import asyncio

from tests.support.postgres import Database, running_databases

from tenantry.adapters.postgres.audit_access import AuditAccess
from tenantry.adapters.postgres.walls import TARGET, to_text


async def text_of(database: Database) -> str:
    """The file as a freshly migrated database makes it."""
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
