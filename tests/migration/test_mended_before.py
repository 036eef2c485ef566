"""What roll-ups were mended by after their invoices, before anybody kept that: it waits for the
next invoice, where roll-ups and invoices differ."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
from tests.support.billing import months_ago
from tests.support.older_schema import migrations_before
from tests.support.postgres import Database

from tenantry.adapters.postgres.migrate import migrate
from tenantry.domain.period import Span, billing_period

_WORLD = """
INSERT INTO tenantry.placement (placement_id, kind, definition)
  VALUES ('pool', 'pool', '{"kind": "pool", "account": "111111111111"}');
"""
_TENANT = """
INSERT INTO tenantry.tenant (tenant_id, name, plan, zone, placement_id)
VALUES ($1, $1, 'free', $2, 'pool')
"""
_USED = """
INSERT INTO tenantry.charge_hour (tenant_id, hour, line, day, currency, model, price_version,
  token_class, unit_price, quantity, amount, requests, model_requests, entries, last_posted_at)
VALUES ($1, $2, $3, $4, 'USD', 'm', 1, 'in', 1, $5::bigint, $5::bigint, 1, 1, 1, $2)
"""
_INVOICE = """
INSERT INTO tenantry.invoice (tenant_id, invoice_id, kind, number, series, series_number,
  period_start, period_end, watermark, issued_at, due_at, currency, total, credit, due,
  contract_version, posting_id, document, sha256)
VALUES ($1, $2, 'invoice', $2, 'INV', 1, $3, $4, $4, $4, $4, 'USD', 0, 0, 0, 1,
  gen_random_uuid(), '', sha256(''))
"""
_HELD = """
INSERT INTO tenantry.invoice_usage (tenant_id, invoice_id, period_start, model, token_class,
  unit_price, quantity, charge)
VALUES ($1, $2, $3, 'm', 'in', 1, $4::bigint, $4::bigint)
"""
_NOTHING = """
INSERT INTO tenantry.invoice_run (tenant_id, period_start, period_end, outcome, detail, watermark)
VALUES ($1, $2, $3, 'nothing', '', $3)
"""
# Its zone, how many months ago it used something twice, and the sum that its invoice has of these
# ten; None: the period was closed with nothing.
_TENANTS = {
    "agrees": ("UTC", 1, 10),
    "agrees_by_half_hours": ("Asia/Kolkata", 1, 10),
    "differs": ("UTC", 1, 9),
    "differs_by_half_hours": ("Asia/Kolkata", 1, 9),
    "differs_of_nothing": ("UTC", 1, None),
    "differs_of_long_ago": ("UTC", 5, 9),
}


def test_what_was_mended_before_it_was_kept_waits_for_the_next_invoice(
    database: Database, tmp_path: Path
) -> None:
    before = migrations_before("0066", tmp_path)

    async def upgraded() -> list[tuple[str, datetime]]:
        superuser = await asyncpg.connect(database.dsn("superuser"))
        await superuser.execute("DROP SCHEMA tenantry CASCADE")
        await migrate(database.dsn("migrator"), folder=before)
        await superuser.execute(_WORLD)
        for number, (zone, months, invoiced) in enumerate(_TENANTS.values()):
            await _closed(superuser, number, zone, months, invoiced)
        await migrate(database.dsn("migrator"))
        rows = await superuser.fetch(
            "SELECT tenant_id, hour FROM tenantry.mended_hour WHERE seen_at IS NULL ORDER BY 1, 2"
        )
        await superuser.close()
        return [tuple(row) for row in rows]

    waits = [
        (_id(number), hour)
        for number, (name, (zone, _, _)) in enumerate(_TENANTS.items())
        if name.startswith("differs") and not name.endswith("long_ago")
        for hour in _hours(_period(zone, 1))
    ]
    assert asyncio.run(upgraded()) == waits


async def _closed(
    superuser: asyncpg.Connection, number: int, zone: str, months: int, invoiced: int | None
) -> None:
    tenant_id, period = _id(number), _period(zone, months)
    await superuser.execute(_TENANT, tenant_id, zone)
    for line, (hour, units) in enumerate(zip(_hours(period), (3, 7), strict=True)):
        day = max(hour, period.start).astimezone(ZoneInfo(zone)).date()
        await superuser.execute(_USED, tenant_id, hour, line, day, units)
        # Of the hour that the period's start cuts, the day before has a part too.
        if hour < period.start:
            earlier = day - timedelta(days=1)
            await superuser.execute(_USED, tenant_id, hour, 9, earlier, 1)
    if invoiced is None:
        await superuser.execute(_NOTHING, tenant_id, period.start, period.end)
        return
    invoice_id = f"inv_{number:026}"
    await superuser.execute(_INVOICE, tenant_id, invoice_id, period.start, period.end)
    await superuser.execute(_HELD, tenant_id, invoice_id, period.start, invoiced)


def _hours(period: Span) -> tuple[datetime, datetime]:
    """Its first, which its start may cut, and one of its middle."""
    first = period.start.astimezone(UTC).replace(minute=0)
    return first, first + timedelta(days=12)


def _period(zone: str, months: int) -> Span:
    return billing_period(months_ago(months), zone, 1)


def _id(number: int) -> str:
    return f"tnt_{number:026}"
