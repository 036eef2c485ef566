"""Budgets that a shred of before left: they go, and nobody else's."""

import asyncio
from pathlib import Path

import asyncpg
from tests.support.older_schema import migrations_before
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import migrate

_SHRED = """
INSERT INTO tenantry.shred (tenant_id, asked_by, keys_destroyed_at, processes_at, found, erased_at,
  certificate, signature)
SELECT $1, 'x', now(), now(), '{}', CASE WHEN $2 THEN now() END, CASE WHEN $2 THEN '{}' END,
       CASE WHEN $2 THEN 'x'::bytea END"""
_BUDGETS = """
INSERT INTO tenantry.budget (tenant_id, subject, period, basis, amount, hard)
VALUES ($1, 'run:r', 'day', 'charge', 1, true);"""
_USES = """
INSERT INTO tenantry.budget_use (tenant_id, subject, period, basis, period_start, period_end)
SELECT $1, subject, 'day', 'charge', '2026-01-01Z', '2026-01-02Z'
FROM unnest(ARRAY['plan', 'run:r']) AS subject"""


def test_what_certificates_of_before_did_not_name_is_gone(
    database: Database, tmp_path: Path
) -> None:
    before = migrations_before("0043", tmp_path)

    async def upgraded() -> tuple[set[tuple[str, str]], list[str]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(
            "INSERT INTO tenantry.plan (name, version, definition) VALUES ('pro', 1, '{}');"
            "INSERT INTO tenantry.placement (placement_id, kind, definition)"
            ' VALUES (\'pool\', \'pool\', \'{"kind": "pool", "account": "111111111111"}\')'
        )
        for name in ("certified", "under way", "alive"):
            tenant_id = f"tnt_{name[0] * 26}"
            await superuser.execute(
                "INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id)"
                " VALUES ($1, $2, 'pro', 'pool')",
                *(tenant_id, name),
            )
            await superuser.execute(
                "DELETE FROM tenantry.budget_use WHERE tenant_id = $1", tenant_id
            )
            for statement in (_BUDGETS, _USES):
                await superuser.execute(statement, tenant_id)
            if name != "alive":
                await superuser.execute(_SHRED, tenant_id, name == "certified")
        await migrate(database.dsn("migrator"))
        left = await superuser.fetch(
            "SELECT name, subject FROM tenantry.budget_use JOIN tenantry.tenant USING (tenant_id)"
            " UNION ALL SELECT name, 'budget' FROM tenantry.budget"
            " JOIN tenantry.tenant USING (tenant_id)"
        )
        rights = await superuser.fetch(
            "SELECT polname::text FROM pg_policy WHERE polname = 'for_0043' UNION ALL"
            " SELECT 'a grant' WHERE has_any_column_privilege('tenantry_gate', 'tenantry.shred',"
            " 'SELECT')"
        )
        await superuser.close()
        return {tuple(row) for row in left}, [row[0] for row in rights]

    left, rights = asyncio.run(upgraded())
    whole = {"budget", "plan", "run:r"}
    assert left == {("certified", "plan")} | {
        (name, each) for name in ("under way", "alive") for each in whole
    }
    assert rights == [], "what the migration took for itself"
