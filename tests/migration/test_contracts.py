"""Tenants that were there before contracts: each gets its first terms, period and currency."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, migrate

_NOW = "timestamptz '2026-11-15 12:00Z'"
_TENANT = (
    "INSERT INTO tenantry.tenant (tenant_id, name, plan, zone, anchor_day, currency, created_at)"
    f" VALUES ($1, $2, 'pro', $3, 1, $4, {_NOW})"
)


def test_tenants_of_before_have_terms_a_period_and_their_currency(
    database: Database, tmp_path: Path
) -> None:
    [first] = MIGRATIONS_DIR.glob("*_contracts.sql")
    before = tmp_path / "before"
    before.mkdir()
    for path in MIGRATIONS_DIR.glob("*.sql"):
        if path.name < first.name:
            shutil.copy(path, before)

    async def upgrade() -> tuple[list[Any], list[Any], list[Any]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        for name, zone, currency in (("a", "UTC", "USD"), ("b", "America/New_York", "JPY")):
            await superuser.execute(_TENANT, f"tnt_{name * 26}", name, zone, currency)
        await migrate(database.dsn("migrator"))
        periods = await superuser.fetch(
            "SELECT t.name, t.currency, a.period_start, p.plan, p.effective_at"
            " FROM tenantry.tenant t JOIN tenantry.billing_account a USING (tenant_id)"
            " JOIN tenantry.plan_change p USING (tenant_id) ORDER BY t.name"
        )
        contracts = await superuser.fetch(
            "SELECT legal_name, version, currency FROM tenantry.contract"
        )
        walls = await superuser.fetch(
            "SELECT relname FROM pg_class WHERE relname IN ('tenant', 'contract')"
            " AND relnamespace = 'tenantry'::regnamespace AND relforcerowsecurity ORDER BY 1"
        )
        await superuser.close()
        return periods, contracts, walls

    periods, contracts, walls = asyncio.run(upgrade())
    told = [(r["name"], r["currency"], f"{r['period_start']:%m-%d %H}", r["plan"]) for r in periods]
    assert told == [("a", "USD", "11-01 00", "pro"), ("b", "USD", "11-01 04", "pro")]
    assert {f"{row['effective_at']:%Y-%m-%d}" for row in periods} == {"2026-11-15"}
    assert [tuple(row) for row in contracts] == [("b", 1, "JPY")]
    assert [row[0] for row in walls] == ["contract", "tenant"]
