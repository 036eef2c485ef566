"""What was told of a limit before its key named a currency is not told again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from tests.support.older_schema import migrations_before
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import migrate

_WORLD = """
INSERT INTO tenantry.plan (name, version, definition) VALUES ('pro', 1, '{}');
INSERT INTO tenantry.placement (placement_id, kind, definition)
  VALUES ('pool', 'pool', '{"kind": "pool", "account": "111111111111"}');
"""
_TENANT = """
INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id) VALUES ($1, $1, 'pro', 'pool')
"""
_ALERT = """
INSERT INTO tenantry.alert (tenant_id, alert_id, kind, subject, once_key, severity, ends_at,
  observed, expected, unit, currency)
VALUES ($1, 'alr_' || lpad($2::text, 26, '0'), $3, 'tenant', $4, 'warning',
  clock_timestamp() + $5 * interval '1 day', 1, 5, $6, 'USD')
"""
_OF_BOTH = (
    ("budget.refused", "month charge x 5", 9, "EUR", "month charge x 5 EUR"),
    ("budget.pace", "month cost x 5", 9, "USD", "month cost x 5 USD"),
    ("budget.refused", "total charge ever 5", None, "USD", "total charge ever 5 USD"),
    ("budget.refused", "day charge x 5", -9, "USD", "day charge x 5"),  # which is over
    ("budget.threshold", "month charge x 50 5", 9, "USD", "month charge x 50 5"),
    ("usage.spike", "2026-11-01T09", 9, "tokens", "2026-11-01T09"),
)


def test_keys_of_periods_that_run_have_their_currency(database: Database, tmp_path: Path) -> None:
    before = migrations_before("0067", tmp_path)

    async def upgraded() -> dict[str, list[str]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(_WORLD)
        for tenant_id, first in (("tnt_" + "a" * 26, 0), ("tnt_" + "b" * 26, 100)):
            await superuser.execute(_TENANT, tenant_id)
            for number, (kind, key, days, unit, _) in enumerate(_OF_BOTH, start=first):
                await superuser.execute(_ALERT, tenant_id, str(number), kind, key, days, unit)
        await migrate(database.dsn("migrator"))
        rows = await superuser.fetch("SELECT tenant_id, once_key FROM tenantry.alert ORDER BY 1")
        forced = await superuser.fetchval(
            "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'tenantry.alert'::regclass"
        )
        await superuser.close()
        assert forced, "what the migration took off"
        keys: dict[str, list[str]] = {}
        for row in rows:
            keys.setdefault(row["tenant_id"], []).append(row["once_key"])
        return keys

    keys = asyncio.run(upgraded())
    assert len(keys) == 2
    for of_tenant in keys.values():
        assert sorted(of_tenant) == sorted(after for *_, after in _OF_BOTH)
