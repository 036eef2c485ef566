"""Roll-ups that are mended after their period was invoiced: the next invoice has what was missed,
and every invoice is made again to the same bytes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from tests.support.archiving import archive_in, month_ago, rolled_up, with_partitions
from tests.support.billing import House, months_ago, period_of
from tests.support.invoiced_past import MISSED, USED, Past, adjusted, blocked, in_past, now
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.application.archiving import archive_month
from tenantry.application.rolling_up import LookingBack
from tenantry.domain.errors import Conflict, Unavailable


def test_what_is_mended_after_its_invoice_is_on_the_next_one(database: Database) -> None:
    async def body(past: Past) -> None:
        anna, bert = past.world.anna, past.world.bert
        await past.missed(anna)
        first = [await past.finalise(who, past.before) for who in (anna, bert)]
        assert [made.document["total"] for made in first] == ["31.50", "31.50"]
        await past.looked_through()
        assert [who for who, _ in await past.mended()] == [anna.tenant_id]
        assert await past.world.violations() == []
        assert await past.same(anna, first[0])

        second = [await past.finalise(who, past.after) for who in (anna, bert)]
        assert [adjusted(made) for made in second] == [Decimal("1.80"), 0]
        assert await past.same(anna, first[0], second[0])
        assert await past.same(bert, first[1], second[1])
        assert await past.world.violations() == []

        await past.missed(anna)  # again, after both
        await past.looked_through()
        assert await past.same(anna, first[0], second[0])
        assert await past.late_in_draft(anna) == Decimal("1.8")
        assert await past.world.violations() == []

    in_past(database, body)


def test_what_is_posted_before_an_invoices_watermark_by_a_clock_behind_is_on_the_next_one(
    database: Database,
) -> None:
    """With its mark, as every settlement to an hour that is rolled up has one."""

    async def body(past: Past) -> None:
        anna = past.world.anna
        first = await past.finalise(anna, past.before)
        await past.late(anna)
        assert await past.same(anna, first)
        assert await past.rollups.renew(10) == 1
        assert await past.same(anna, first)
        second = await past.finalise(anna, past.after)
        assert adjusted(second) == Decimal("1.80")
        assert await past.same(anna, first, second)

    in_past(database, body)


def test_what_invoices_tell_apart_by_its_instant_is_not_kept_as_mended(database: Database) -> None:
    async def body(past: Past) -> None:
        both = (past.world.anna, past.world.bert)
        made = [[await past.finalise(who, at) for at in (past.before, past.after)] for who in both]
        await past.the_present_goes_on()
        await past.late(both[0], posted_at=now())
        await past.rollups.renew(10)
        assert await past.mended() == []
        assert [await past.late_in_draft(who) for who in both] == [Decimal("1.8"), 0]
        for who, invoices in zip(both, made, strict=True):
            assert await past.same(who, *invoices)

    in_past(database, body)


def test_what_is_mended_before_its_invoice_is_on_it(database: Database) -> None:
    async def body(past: Past) -> None:
        anna = past.world.anna
        await past.missed(anna)
        await past.looked_through()
        first = await past.finalise(anna, past.before)
        assert first.document["total"] == "33.30"
        second = await past.finalise(anna, past.after)
        assert adjusted(second) == 0
        assert await past.same(anna, first, second)

    in_past(database, body)


def test_an_invoice_whose_watermark_is_yet_to_come_misses_nothing_for_good(
    database: Database,
) -> None:
    """It was made by a clock that was ahead: what is posted by the right one is before it."""

    async def body(past: Past) -> None:
        anna = past.world.anna
        first = await past.finalise(anna, past.before)
        await past.house.as_the_past(
            "UPDATE tenantry.invoice SET watermark = watermark + interval '3 days'"
        )
        await past.missed(anna, posted_at=now())
        await past.looked_through()
        [(_, hour)] = await past.mended()
        assert hour == past.at + timedelta(hours=3)
        assert await past.late_in_draft(anna) == Decimal("1.8")
        assert await past.read_again(anna, first) == Decimal("31.5")

    in_past(database, body)


def test_a_mending_that_dies_leaves_nothing_and_is_done_again(database: Database) -> None:
    async def body(past: Past) -> None:
        anna = past.world.anna
        await past.missed(anna)
        await past.finalise(anna, past.before)
        held = "SELECT sum(entries)::int AS n FROM charge_hour WHERE tenant_id = $1"
        before = await past.world.fetch(held, anna.tenant_id)
        connection = await asyncpg.connect(past.world.database.dsn("superuser"))
        try:
            holding = connection.transaction()
            await holding.start()
            await connection.execute("LOCK TABLE tenantry.late_hour IN SHARE MODE")
            step = asyncio.create_task(past.looked_through())
            await connection.execute("SELECT pg_terminate_backend($1)", await blocked(connection))
            with pytest.raises(Unavailable):
                await step
            await holding.rollback()
        finally:
            await connection.close()
        assert await past.world.fetch(held, anna.tenant_id) == before
        assert await past.mended() == []
        await past.looked_through()
        assert len(await past.mended()) == 1
        assert adjusted(await past.finalise(anna, past.after)) == Decimal("1.80")

    in_past(database, body)


def test_a_month_with_something_mended_that_no_invoice_has_is_not_archived(
    database: Database, tmp_path: Path
) -> None:
    last = month_ago(1)

    async def body(world: World) -> None:
        house, archive, at = House.of(world), archive_in(world, tmp_path), months_ago(1)
        await with_partitions(world, last)
        period = period_of(world.anna, at)
        for who in (world.anna, world.bert):
            await house.contract(who)
            await house.since(who, period.start)
            await house.used(who, USED, at)
        await rolled_up(world)
        await house.used(world.anna, MISSED, at + timedelta(hours=3))
        for who in (world.anna, world.bert):
            await house.finalise(who, period)
        looking_back = LookingBack(PostgresRollups(world.databases.control))
        while not await world.fetch("SELECT FROM mended_hour WHERE seen_at IS NULL"):
            await looking_back.go_on()
        with pytest.raises(Conflict, match=r"1 tenants have adjustments.*not invoiced"):
            await archive_month(archive, last)
        found = await archive.months.obstacles(last)
        assert found is not None
        assert found.named == [f"{world.anna.tenant_id}: adjustments of the month are not invoiced"]

    in_world(database, body)
