"""Alerts of before are in the totals that are kept from then on."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, migrate

_ALERTS = """
INSERT INTO tenantry.alert (tenant_id, alert_id, kind, subject, once_key, severity, observed,
  expected, unit, currency)
SELECT $1, 'alr_' || lpad($3 || n, 26, '0'), 'usage.spike', 'tenant', n::text, $2, 1, 1, 'tokens',
       'USD' FROM generate_series(1, $4) AS n"""


def test_what_was_raised_before_is_counted(database: Database, tmp_path: Path) -> None:
    [first] = MIGRATIONS_DIR.glob("*_many_tenants.sql")
    before = tmp_path / "before"
    before.mkdir()
    for path in MIGRATIONS_DIR.glob("*.sql"):
        if path.name < first.name:
            shutil.copy(path, before)

    async def upgraded() -> tuple[list[Any], bool]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(
            "INSERT INTO tenantry.plan (name, version, definition) VALUES ('pro', 1, '{}');"
            "INSERT INTO tenantry.placement (placement_id, kind, definition)"
            ' VALUES (\'pool\', \'pool\', \'{"kind": "pool", "account": "111111111111"}\')'
        )
        for name in "ab":
            tenant_id = f"tnt_{name * 26}"
            await superuser.execute(
                "INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id)"
                " VALUES ($1, $2, 'pro', 'pool')",
                *(tenant_id, name),
            )
            severity = "critical" if name == "b" else "warning"
            await superuser.execute(_ALERTS, tenant_id, severity, name, 3 if name == "b" else 2)
        await migrate(database.dsn("migrator"))
        totals = await superuser.fetch(
            "SELECT kind, severity, raised FROM tenantry.alert_total ORDER BY severity"
        )
        forced = await superuser.fetchval(
            "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'tenantry.alert'::regclass"
        )
        await superuser.close()
        return [tuple(row) for row in totals], forced

    totals, forced = asyncio.run(upgraded())
    assert totals == [("usage.spike", "critical", 3), ("usage.spike", "warning", 2)]
    assert forced, "what the migration took off"
