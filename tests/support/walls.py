"""The audit's look at the walls of one database, and holes that are planted into it.

Roles are the server's, and go with the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import asyncpg
from tests.support import engines
from tests.support.planting import ANNA, BERT
from tests.support.postgres import Database
from tools.write_walls import open_room

from tenantry.adapters.postgres.audit_access import AuditAccess
from tenantry.bootstrap.audit import LocalStores
from tenantry.domain.audit import FINDINGS
from tenantry.entrypoints.audit.attack import Verdict
from tenantry.entrypoints.audit.attacks.rows import row_attacks

WIDE = "planted_login"  # a role that only these tests make
_GONE = """
    REVOKE pg_read_all_data FROM tenantry_app;
    DO $$ DECLARE made text; BEGIN
      FOR made IN SELECT rolname FROM pg_roles WHERE rolname LIKE 'planted\\_%' LOOP
        EXECUTE format('DROP OWNED BY %I CASCADE; DROP ROLE %I', made, made);
      END LOOP;
    END $$
"""


def run(database: Database, *statements: str) -> None:
    async def body() -> None:
        connection = await asyncpg.connect(database.dsn("superuser"))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(body())


@contextmanager
def planted(database: Database, *statements: str) -> Iterator[None]:
    try:
        run(database, *statements)
        yield
    finally:
        run(database, _GONE)


def verdicts(database: Database, *names: str) -> Mapping[str, Verdict]:
    """What comes of the attacks on the database whose ids begin so; without names, of all."""
    nothing: Any = None
    local = LocalStores(AuditAccess(database.dsn), nothing, nothing)
    a, b = SimpleNamespace(id=ANNA), SimpleNamespace(id=BERT)
    ground: Any = SimpleNamespace(a=a, b=b, local=local, not_local="")
    with closing(local):
        attacks = [
            each
            for each in row_attacks(local.tenant_tables())
            if each.id.startswith(names or "rows.")
        ]
        return {attack.id: attack.run(ground) for attack in attacks}


def findings(database: Database, *names: str) -> dict[str, str]:
    made = verdicts(database, *names)
    assert made
    return {name: each.detail for name, each in made.items() if each.outcome in FINDINGS}


def with_pgvector(database: Database) -> None:
    async def made() -> None:
        await engines.prepare(database)
        await open_room(database, ANNA, indexed_dimensions=8)

    asyncio.run(made())
