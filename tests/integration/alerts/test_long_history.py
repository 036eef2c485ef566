"""Alerts of years: counted without reading them, and listed by what is asked for alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from tests.support.ledger import World, in_world
from tests.support.postgres import Database
from tests.support.read_rows import rows_read
from tests.support.watched import alerts_in

from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.usage_hours import CLOCK_WRONG
from tenantry.domain.ids import prefixed, uuid7
from tenantry.domain.usage import Usage
from tenantry.ports.control import Budget

USED = Usage(uncached_in=1_000, out=500)  # .0315 of charge
DAYS, A_DAY = 200, 20
SQL = statements("sql/alerts.sql")
_PLANT = """
INSERT INTO tenantry.alert (tenant_id, alert_id, kind, subject, once_key, severity, observed,
  expected, unit, currency, raised_at, acknowledged_at)
SELECT $1, id, 'budget.threshold', 'tenant', id, 'warning', 1, 1, 'USD', 'USD', at,
       CASE WHEN n = 7 THEN at END
FROM unnest($2::text[], $3::timestamptz[]) WITH ORDINALITY AS x (id, at, n)"""


async def spent(world: World) -> None:
    """Both tenants have a budget of which half is spent: an alert each."""
    for who in (world.anna, world.bert):
        budget = Budget(who.tenant_id, "tenant", "", "month", "charge", Decimal("0.06"), False)
        await world.control.set_budget(budget)
        await world.settle(await world.admitted(who), world.outcome(USED))


async def planted(world: World) -> datetime:
    """Alerts of each tenant, some a day up to now; each one's seventh is seen to. Returns now."""
    now = datetime.now(UTC)
    for place, who in enumerate((world.anna, world.bert)):
        ats = [now - timedelta(days=1) * n / A_DAY for n in range(DAYS * A_DAY)]
        ids = [prefixed("alr", uuid7(int(at.timestamp() * 1000), bytes(9) + bytes([place])))
               for at in ats]  # fmt: skip
        await world.as_superuser(_PLANT, who.tenant_id, ids, ats)
    await world.as_superuser("ANALYZE tenantry.alert")
    return now


def test_alerts_that_are_raised_are_counted_and_none_is_read_for_it(database: Database) -> None:
    async def body(world: World) -> None:
        alerts = alerts_in(world)
        assert await alerts.counts() == {}
        await spent(world)
        who = [world.anna.tenant_id, world.bert.tenant_id]
        assert await alerts.raise_crossed(who, 100) == 2
        assert await alerts.raise_crossed(who, 100) == 0  # once each
        raised = {("budget.threshold", "info"): 2}
        assert await alerts.counts() == raised
        async with world.databases.control.acquire() as connection:
            assert await rows_read(connection, SQL["counts"]) == {"alert_total": 1}
        # A counter falls never, whatever becomes of what it counted.
        await world.as_superuser("DELETE FROM tenantry.alert WHERE tenant_id = $1", who[0])
        assert await alerts.counts() == raised

    in_world(database, body)


def test_an_alert_that_is_not_counted_is_not_raised(database: Database) -> None:
    async def body(world: World) -> None:
        alerts = alerts_in(world)
        await spent(world)
        who = [world.anna.tenant_id, world.bert.tenant_id]
        await world.as_superuser("ALTER TABLE tenantry.alert_total ADD CONSTRAINT x CHECK (false)")
        with pytest.raises(asyncpg.CheckViolationError):
            await alerts.raise_crossed(who, 100)
        assert await alerts.alerts() == []
        await world.as_superuser("ALTER TABLE tenantry.alert_total DROP CONSTRAINT x")
        assert await alerts.raise_crossed(who, 100) == 2
        assert await alerts.counts() == {("budget.threshold", "info"): 2}

    in_world(database, body)


async def read(world: World, *values: object) -> int:
    """Alerts that are looked at for a page of 10."""
    async with world.databases.control.acquire() as connection, connection.transaction():
        await connection.execute(SQL["plan_by_values"])
        return (await rows_read(connection, SQL["alerts"], *values)).get("alert", 0)


def test_a_list_reads_what_it_shows(database: Database) -> None:
    async def body(world: World) -> None:
        now = await planted(world)
        anna = world.anna.tenant_id
        assert await read(world, None, None, None, None, 10, None) == 10
        assert await read(world, None, None, False, None, 10, None) == 10
        assert await read(world, None, None, True, None, 10, None) == 2  # all there are
        assert await read(world, anna, None, None, None, 10, None) <= 10
        since = now - timedelta(hours=12)
        bound = prefixed("alr", uuid7(int((since - CLOCK_WRONG).timestamp() * 1000), bytes(10)))
        assert await read(world, None, since, None, None, 1_000, bound) <= 2 * (
            15 * A_DAY // 24 + 1
        )

    in_world(database, body)


def test_a_list_since_an_instant_is_whole(database: Database) -> None:
    async def body(world: World) -> None:
        now = await planted(world)
        alerts = alerts_in(world)

        async def found(**asked: Any) -> set[str]:
            return {one.id for one in await alerts.alerts(limit=1_000, **asked)}

        since = now - timedelta(days=2)
        recent = await alerts.alerts(since=since, limit=1_000)
        assert len(recent) == 2 * (2 * A_DAY + 1)  # of both, the instant itself included
        assert all(one.raised_at >= since for one in recent)
        own = await alerts.alerts(since=since, tenant_id=world.bert.tenant_id, limit=1_000)
        assert {one.tenant_id for one in own} == {world.bert.tenant_id}
        assert len(own) == len(recent) // 2
        assert await found(since=datetime(1, 1, 1, tzinfo=UTC), state="acknowledged") == {
            one.id for one in recent if one.acknowledged_at
        }
        assert await found(since=datetime(9999, 12, 31, tzinfo=UTC)) == set()
        # The clock of who raised it was a few hours behind the database's.
        late = prefixed(
            "alr", uuid7(int((since - timedelta(hours=3)).timestamp() * 1000), b"z" * 10)
        )
        await world.as_superuser(_PLANT, world.anna.tenant_id, [late], [since])
        assert late in await found(since=since)

    in_world(database, body)
