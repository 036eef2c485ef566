"""Tenants that were shredded before a shred ended their contracts: each ends with that day."""

import asyncio
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, migrate

# Its zone, the end of its contract if it has one, whether it is shredded: on 15 November 12:00Z.
_TENANTS = {
    "a": ("UTC", None, True),
    "b": ("Pacific/Auckland", date(2027, 6, 1), True),
    "c": ("UTC", date(2026, 11, 1), True),
    "d": ("UTC", date(2027, 6, 1), False),
}
_CONTRACT = """
INSERT INTO tenantry.contract (tenant_id, version, legal_name, address, currency, tax_rate,
  tax_label, payment_days, ends_on)
VALUES ($1, 1, 'Ltd', '{}', 'USD', 0, 'Tax', 30, $2)"""
_SHRED = """
INSERT INTO tenantry.shred (tenant_id, asked_at, asked_by)
VALUES ($1, timestamptz '2026-11-15 12:00Z', 'x')"""


def test_contracts_of_tenants_that_were_shredded_end_the_day_after(
    database: Database, tmp_path: Path
) -> None:
    [first] = MIGRATIONS_DIR.glob("*_exact_invoices.sql")
    before = tmp_path / "before"
    before.mkdir()
    for path in MIGRATIONS_DIR.glob("*.sql"):
        if path.name < first.name:
            shutil.copy(path, before)

    async def upgrade() -> tuple[list[Any], list[Any]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(
            "INSERT INTO tenantry.plan (name, version, definition) VALUES ('pro', 1, '{}');"
            "INSERT INTO tenantry.placement (placement_id, kind, definition)"
            ' VALUES (\'pool\', \'pool\', \'{"kind": "pool", "account": "111111111111"}\')'
        )
        for name, (zone, ends_on, shredded) in _TENANTS.items():
            tenant_id = f"tnt_{name * 26}"
            await superuser.execute(
                "INSERT INTO tenantry.tenant (tenant_id, name, plan, zone, placement_id, status)"
                " VALUES ($1, $2, 'pro', $3, 'pool', $4)",
                *(tenant_id, name, zone, "shredded" if shredded else "active"),
            )
            if ends_on is not None:
                await superuser.execute(_CONTRACT, tenant_id, ends_on)
            if shredded:
                await superuser.execute(_SHRED, tenant_id)
        await migrate(database.dsn("migrator"))
        ends = await superuser.fetch(
            "SELECT DISTINCT ON (t.name) t.name, c.version, c.ends_on FROM tenantry.tenant t"
            " JOIN tenantry.contract c USING (tenant_id) ORDER BY t.name, c.version DESC"
        )
        walls = await superuser.fetch(
            "SELECT relname FROM pg_class WHERE relname IN ('tenant', 'contract', 'shred')"
            " AND relnamespace = 'tenantry'::regnamespace AND relforcerowsecurity ORDER BY 1"
        )
        await superuser.close()
        return [tuple(row) for row in ends], [row[0] for row in walls]

    ends, walls = asyncio.run(upgrade())
    assert ends == [
        ("a", 1, date(2026, 11, 16)),
        ("b", 2, date(2026, 11, 17)),  # it was the 16th there already
        ("c", 1, date(2026, 11, 1)),
        ("d", 1, date(2027, 6, 1)),
    ]
    assert walls == ["contract", "shred", "tenant"]
