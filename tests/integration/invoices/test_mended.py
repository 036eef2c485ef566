"""Roll-ups that are mended after their period was invoiced: the next invoice has what was missed,
and every invoice is made again to the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.archiving import archive_in, month_ago, rolled_up, with_partitions
from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.application.archiving import archive_month
from tenantry.application.invoicing import regenerate
from tenantry.application.rolling_up import LookingBack, roll_up
from tenantry.domain.errors import Conflict, Unavailable
from tenantry.domain.period import Span
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

USED = Usage(uncached_in=1_000_000, out=500_000)  # charge 31.5
MISSED = Usage(uncached_in=100_000, out=20_000)  # charge 1.8
WHOLE = 12  # steps of a look back over 62 days, 6 days each


class Past:
    """Both tenants used something in each of the last two months, all of it rolled up."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.house = House.of(world)
        self.rollups = PostgresRollups(world.databases.control)
        self.at = months_ago(2)
        self.before, self.after = (period_of(world.anna, months_ago(n)) for n in (2, 1))

    async def made(self) -> None:
        for who in (self.world.anna, self.world.bert):
            await self.house.contract(who)
            await self.house.since(who, self.before.start)
            for at in (self.at, months_ago(1)):
                await self.house.used(who, USED, at)
        await roll_up(self.rollups)
        # Two months before it are looked through, whatever the day.
        await self.world.as_superuser("UPDATE tenantry.rollup SET through = $1", self.after.end)

    async def missed(self, who: Principal, **changes: Any) -> None:
        """Posted to an hour that is rolled up, by a transaction that left no mark."""
        await self.house.used(who, MISSED, self.at + timedelta(hours=3), **changes)

    async def looked_through(self) -> None:
        before = None
        for _ in range(WHOLE):
            before = await self.rollups.look_back(before, 6 * 24)

    async def finalise(self, who: Principal, period: Span) -> Finalised:
        return await self.house.finalise(who, period)

    async def same(self, who: Principal, *made: Finalised) -> bool:
        found = []
        for invoices in (self.house.billing.book, self.house.billing.invoices):
            for each in made:
                stored = await invoices.document(who.tenant_id, str(each.number))
                found.append((await regenerate(invoices, who.tenant_id, stored)).same)
        return all(found)

    async def mended(self) -> list[tuple[str, datetime]]:
        rows = await self.world.fetch("SELECT tenant_id, hour FROM mended_hour ORDER BY 1, 2")
        return [tuple(row) for row in rows]


def in_past(database: Database, body: Callable[[Past], Awaitable[None]]) -> None:
    async def run(world: World) -> None:
        past = Past(world)
        await past.made()
        await body(past)

    in_world(database, run)


def adjusted(made: Finalised) -> Decimal:
    lines = [line for line in made.document["lines"] if line["kind"] == "adjustment"]
    return sum((Decimal(line["amount"]) for line in lines), Decimal(0))


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
        draft = await past.house.billing.book.read(
            anna.tenant_id, await past.house.billing.book.next_period(anna.tenant_id), now()
        )
        late = [line.charge for each in draft.earlier for line in each.late]
        assert sum(late, Decimal(0)) == Decimal("1.8")
        assert await past.world.violations() == []

    in_past(database, body)


def now() -> datetime:
    return datetime.now(UTC)


def test_what_is_posted_before_an_invoices_watermark_by_a_clock_behind_is_on_the_next_one(
    database: Database,
) -> None:
    """With its mark, as every settlement to an hour that is rolled up has one."""

    async def body(past: Past) -> None:
        anna = past.world.anna
        first = await past.finalise(anna, past.before)
        await past.missed(anna)
        await past.world.as_superuser(
            "INSERT INTO tenantry.late_hour (tenant_id, hour) VALUES ($1, $2)",
            anna.tenant_id,
            past.at + timedelta(hours=3),
        )
        assert await past.same(anna, first)
        assert await past.rollups.renew(10) == 1
        assert await past.same(anna, first)
        second = await past.finalise(anna, past.after)
        assert adjusted(second) == Decimal("1.80")
        assert await past.same(anna, first, second)

    in_past(database, body)


def test_what_invoices_tell_apart_by_its_instant_is_not_kept_as_mended(database: Database) -> None:
    async def body(past: Past) -> None:
        anna, bert = past.world.anna, past.world.bert
        first = [await past.finalise(who, past.before) for who in (anna, bert)]
        for who, posted_at in ((anna, now()), (bert, now())):
            await past.missed(who, posted_at=posted_at)
            await past.world.as_superuser(
                "INSERT INTO tenantry.late_hour (tenant_id, hour) VALUES ($1, $2)",
                who.tenant_id,
                past.at + timedelta(hours=3),
            )
        second = await past.finalise(anna, past.after)  # while the mark is there
        await past.rollups.renew(10)
        assert await past.mended() == []
        assert adjusted(second) == Decimal("1.80")
        assert adjusted(await past.finalise(bert, past.after)) == Decimal("1.80")
        assert await past.same(anna, first[0], second)

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
        reading = await past.house.billing.book.read(anna.tenant_id, past.after, now())
        [earlier] = reading.earlier
        assert sum((line.charge for line in earlier.late), Decimal(0)) == Decimal("1.8")
        assert first.number is not None
        stored = await past.house.billing.book.document(anna.tenant_id, first.number)
        again = await past.house.billing.book.read(
            anna.tenant_id, past.before, stored.watermark, stored.issued_at
        )
        assert sum((line.charge for line in again.usage), Decimal(0)) == Decimal("31.5")

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
            await connection.execute("LOCK TABLE tenantry.mended_hour IN SHARE MODE")
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


async def blocked(connection: Any) -> int:
    """The backend that waits for a lock, as soon as one does."""
    async with asyncio.timeout(30):
        while True:
            pids = await connection.fetch(
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            if pids:
                return int(pids[0]["pid"])
            await asyncio.sleep(0.01)


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
        while not await world.fetch("SELECT FROM mended_hour"):
            await looking_back.go_on()
        with pytest.raises(Conflict, match=r"1 tenants have adjustments.*not invoiced"):
            await archive_month(archive, last)
        found = await archive.months.obstacles(last)
        assert found is not None
        assert found.named == [f"{world.anna.tenant_id}: adjustments of the month are not invoiced"]

    in_world(database, body)
