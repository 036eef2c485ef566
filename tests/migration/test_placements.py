"""Tenants of before, each in the placement where its requests began: its keys lie there."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, migrate

_WORLD = """
INSERT INTO tenantry.plan (name, version, definition) VALUES
  ('free', 1, '{"placement": "pool"}'), ('own', 1, '{"placement": "silo"}');
INSERT INTO tenantry.placement (placement_id, kind, definition) VALUES
  ('apool', 'pool', '{"kind": "pool", "account": "222222222222"}'),
  ('asilo', 'silo', '{"kind": "silo", "account": "333333333333"}'),
  ('pool', 'pool', '{"kind": "pool", "account": "111111111111"}');
"""
_PLACES = "SELECT name, placement_id, status FROM tenantry.tenant ORDER BY name"
# Who it is, its plan, the placement that it was given, and the accounts of its requests in order.
_TENANTS = {
    "began_in_pool": ("free", None, ("111111111111", "222222222222")),
    "began_in_apool": ("free", None, ("222222222222",)),
    "asked_nothing": ("free", None, ()),
    "was_given_pool": ("free", "pool", ("222222222222",)),
    "of_an_account_that_is_gone": ("free", None, ("444444444444",)),
    "of_a_silo": ("own", "asilo", ("333333333333",)),
    "of_no_silo": ("own", None, ("111111111111",)),
}


def test_tenants_of_before_are_where_their_requests_began(
    database: Database, tmp_path: Path
) -> None:
    [first] = MIGRATIONS_DIR.glob("*_placements_for_good.sql")
    before = tmp_path / "before"
    before.mkdir()
    for path in MIGRATIONS_DIR.glob("*.sql"):
        if path.name < first.name:
            shutil.copy(path, before)

    async def upgrade() -> list[tuple[str, ...]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(_WORLD)
        for number, (name, (plan, placement, accounts)) in enumerate(_TENANTS.items()):
            tenant_id = f"tnt_{number:026}"
            await superuser.execute(
                "INSERT INTO tenantry.tenant (tenant_id, name, plan, placement_id)"
                " VALUES ($1, $2, $3, $4)",
                *(tenant_id, name, plan, placement),
            )
            for hour, account in enumerate(accounts):
                await _asked(superuser, tenant_id, account, hour)
        await migrate(database.dsn("migrator"))
        rows = await superuser.fetch(_PLACES)
        await superuser.close()
        return [tuple(row) for row in rows]

    assert asyncio.run(upgrade()) == [
        ("asked_nothing", "apool", "active"),
        ("began_in_apool", "apool", "active"),
        ("began_in_pool", "pool", "active"),
        ("of_a_silo", "asilo", "active"),
        ("of_an_account_that_is_gone", "apool", "active"),
        ("of_no_silo", "pool", "suspended"),
        ("was_given_pool", "pool", "active"),
    ]


async def _asked(superuser: asyncpg.Connection, tenant_id: str, account: str, hour: int) -> None:
    """A request that the ledger has in both books."""
    at = f"timestamptz '2026-11-15 00:00Z' + {hour} * interval '1 hour'"
    request = f"'{hour:08}-0000-7000-8000-000000000000'"
    facts = {
        "tenant_id": f"'{tenant_id}'", "admitted_at": at, "request_id": request, "call": "1",
        "attempt": "1", "kind": "'usage'", "debit": "'x'", "credit": "'y'", "amount": "1",
        "token_classes": "'{}'", "quantities": "'{}'", "unit_prices": "'{}'", "amounts": "'{}'",
        "posted_at": at, "day": "'2026-11-15'", "period_start": at, "price_version": "1",
        "plan": "'free'", "plan_version": "1", "model": "'m'", "api_key_id": "'k'",
        "tags": "'{}'", "flags": "'{}'",
    }  # fmt: skip
    attempt = {
        "account": f"'{account}'", "region": "'us-east-1'", "service_tier": "'default'",
        "ending": "'settled'", "charged": "true", "began_at": at, "operation": "'Converse'",
        "price_key": "'m'", "tokens": "1", "raw": "'{}'", "normaliser_version": "1",
    }  # fmt: skip
    for book, values in (
        ("charge_entry", {**facts, "currency": "'USD'"}),
        ("cost_entry", {**facts, **attempt}),
    ):
        columns, row = ", ".join(values), ", ".join(values.values())
        await superuser.execute(
            "SET session_replication_role = replica;"
            f"INSERT INTO tenantry.{book} ({columns}) VALUES ({row});"
            "RESET session_replication_role"
        )
