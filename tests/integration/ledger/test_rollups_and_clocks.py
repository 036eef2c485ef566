"""A clock that was wrong for a while: usage is the ledger's at every moment all the same."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from tests.support.billing import House
from tests.support.ledger import World, intent, open_world
from tests.support.postgres import Database
from tests.support.postings import a_posting, post

from tenantry.adapters.postgres.rollups import RETREAT_MAX_H, Ahead, PostgresRollups
from tenantry.application.rolling_up import HOURS_AT_ONCE, LookingBack, roll_up
from tenantry.domain.period import Span
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage

HOUR = timedelta(hours=1)
USED = Usage(uncached_in=1_000, out=500)
CHARGE = Decimal("0.0315")
_ROLLED_UP = (
    "INSERT INTO tenantry.charge_hour VALUES"
    " ($1, $2, 1, '2020-01-01', 'USD', 'm', 1, 'out', 3, 1, 1, 1, 1, 1, now())"
)


def in_a_rolled_up_world(
    database: Database, body: Callable[[World, PostgresRollups], Awaitable[None]]
) -> None:
    """Both tenants have been there for four days, and all of it is rolled up."""

    async def run() -> None:
        async with open_world(database) as world:
            await world.as_superuser("UPDATE tenantry.tenant SET created_at = $1", hour_ago(96))
            rollups = PostgresRollups(world.databases.control)
            await roll_up(rollups)
            await body(world, rollups)

    asyncio.run(run())


def hour_ago(hours: int) -> datetime:
    now = datetime.now(UTC)
    return now.replace(minute=0, second=0, microsecond=0) - hours * HOUR


async def settled(world: World, who: Principal) -> None:
    """A request on the way of nearly all."""
    made = await world.admitted(who)
    await world.settle(made, world.outcome(USED))


async def settled_in_steps(world: World, who: Principal) -> None:
    """One whose first attempt ends before the request."""
    made = await world.admitted(who)
    await world.admission.begin(made.tenant_id, made.request_id, intent(1))
    await world.settle(made, world.outcome(USED), final=False)


async def charged(world: World, who: Principal) -> Decimal:
    """What usage tells of the days around now, which is what an invoice of them holds."""
    span = Span(hour_ago(80), datetime.now(UTC) + HOUR)
    rows = await world.ledger.usage(who, span.start, span.end, [])
    told = sum((row.charge for row in rows), Decimal(0))
    reading = await House.of(world).billing.book.read(who.tenant_id, span, span.end)
    assert sum((line.charge for line in reading.usage), Decimal(0)) == told
    return told


async def through(world: World) -> datetime:
    [row] = await world.fetch("SELECT through FROM rollup")
    at: datetime = row["through"]
    return at


async def the_clock_was_ahead(world: World, hours: int) -> datetime:
    """The roll-ups go on as far as they would have by such a clock."""
    ahead = hour_ago(0) + hours * HOUR
    await world.as_superuser("UPDATE tenantry.rollup SET through = $1", ahead)
    return ahead


async def rollup_violations(world: World) -> list[Any]:
    found = await world.violations()
    return [each for each in found if each.invariant == "roll_ups_equal_replay"]


@asynccontextmanager
async def superuser(world: World) -> Any:
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("make", [settled, settled_in_steps])
def test_what_is_used_after_the_clock_was_ahead_is_told(
    database: Database, make: Callable[[World, Principal], Awaitable[None]]
) -> None:
    async def body(world: World, rollups: PostgresRollups) -> None:
        await make(world, world.bert)
        await the_clock_was_ahead(world, 3)
        await make(world, world.anna)
        assert await charged(world, world.anna) == CHARGE
        marks = await world.fetch("SELECT DISTINCT tenant_id FROM late_hour")
        assert [row["tenant_id"] for row in marks] == [world.anna.tenant_id]

    in_a_rolled_up_world(database, body)


def test_roll_ups_go_back_to_where_a_right_clock_is(database: Database) -> None:
    async def body(world: World, rollups: PostgresRollups) -> None:
        right = await through(world)
        draw = random.Random(1)
        async with superuser(world) as connection:  # rolled up by the wrong clock, and unmarked
            now = datetime.now(UTC)
            before = [a_posting(draw, who.tenant_id, now, posted_at=now) for who in both(world)]
            await post(connection, before)
        await the_clock_was_ahead(world, 3)
        await settled(world, world.anna)
        await roll_up(rollups)
        assert abs(await through(world) - right) <= HOUR  # an hour may have ended meanwhile
        for who, posting, more in zip(both(world), before, (CHARGE, Decimal(0)), strict=True):
            assert await charged(world, who) == posting.amount + more
        assert await rollup_violations(world) == []

    in_a_rolled_up_world(database, body)


def both(world: World) -> list[Principal]:
    return [world.anna, world.bert]


def test_roll_ups_go_back_however_far_they_are_ahead(database: Database) -> None:
    """In steps of bounded size. What was rolled up of hours yet to come goes with them."""

    async def body(world: World, rollups: PostgresRollups) -> None:
        right = await through(world)
        ahead = await the_clock_was_ahead(world, 3 * RETREAT_MAX_H - 5)
        await world.as_superuser(_ROLLED_UP, world.bert.tenant_id, ahead - HOUR)
        seen = [ahead]
        while seen[-1] > right + HOUR:
            assert await rollups.advance(HOURS_AT_ONCE)
            seen.append(await through(world))
            assert timedelta(0) < seen[-2] - seen[-1] <= RETREAT_MAX_H * HOUR
        assert 3 <= len(seen) - 1 <= 4
        assert await world.fetch("SELECT * FROM charge_hour") == []
        await settled(world, world.anna)
        await roll_up(rollups)
        assert abs(await through(world) - right) <= HOUR
        assert await charged(world, world.anna) == CHARGE
        assert await charged(world, world.bert) == 0
        assert await rollup_violations(world) == []

    in_a_rolled_up_world(database, body)


@pytest.mark.parametrize("hours", [100 * 24, 100 * 365 * 24])
def test_what_was_missed_is_found_while_roll_ups_are_far_ahead(
    database: Database, hours: int
) -> None:
    async def body(world: World, rollups: PostgresRollups) -> None:
        await the_clock_was_ahead(world, hours)
        draw = random.Random(6)
        postings = [
            a_posting(draw, who.tenant_id, hour, posted_at=hour)
            for who in both(world)
            for hour in (hour_ago(ago) for ago in (2, 30, 50))
        ]
        async with superuser(world) as connection:
            await post(connection, postings)
        assert len(await rollup_violations(world)) > 0
        looking_back = LookingBack(rollups)
        for _ in range(60 // HOURS_AT_ONCE):
            await looking_back.go_on()
        assert await rollup_violations(world) == []
        await roll_up(rollups)
        for who in both(world):
            own = [each.amount for each in postings if each.tenant_id == who.tenant_id]
            assert await charged(world, who) == sum(own)
        assert await rollup_violations(world) == []

    in_a_rolled_up_world(database, body)


def test_nothing_archived_is_gone_back_to(database: Database) -> None:
    """Of what is archived until later than now, as by such a clock; but of what is beyond it."""

    async def body(world: World, rollups: PostgresRollups) -> None:
        await world.as_superuser(
            "INSERT INTO tenantry.ledger_archive (month, manifest, manifest_sha256)"
            " VALUES (date_trunc('month', now() AT TIME ZONE 'UTC')::date, '', sha256(''))"
        )
        [row] = await world.fetch("SELECT tenantry.archived_through() AS at")
        for ahead in (row["at"], row["at"] + 2 * RETREAT_MAX_H * HOUR):
            await world.as_superuser("UPDATE tenantry.rollup SET through = $1", ahead)
            await roll_up(rollups)
            assert await through(world) == row["at"]
        told = await rollups.ahead()
        assert told is not None
        assert (told.through, told.for_good) == (row["at"], row["at"])

    in_a_rolled_up_world(database, body)


def test_nothing_invoiced_is_gone_back_to(database: Database) -> None:
    """What is used then leaves a mark, by which the next invoice has it."""

    async def body(world: World, rollups: PostgresRollups) -> None:
        closed = hour_ago(-50)
        await world.as_superuser(
            "INSERT INTO tenantry.invoice_run"
            " (tenant_id, period_start, period_end, outcome, detail, watermark)"
            " VALUES ($1, $2, $3, 'nothing', '', $3)",
            world.bert.tenant_id,
            hour_ago(90),
            closed,
        )
        await world.as_superuser(
            "UPDATE tenantry.billing_account SET period_end = now() + interval '40 days'"
        )
        await the_clock_was_ahead(world, 3 * RETREAT_MAX_H)
        await roll_up(rollups)
        assert await through(world) == closed
        for who in both(world):
            await settled(world, who)
            assert await charged(world, who) == CHARGE
        await roll_up(rollups)
        assert await world.fetch("SELECT * FROM late_hour") == []
        for who in both(world):
            assert await charged(world, who) == CHARGE
        kept = await world.fetch("SELECT tenant_id FROM mended_hour")
        assert [row["tenant_id"] for row in kept] == [world.bert.tenant_id]
        assert await rollup_violations(world) == []

    in_a_rolled_up_world(database, body)


def test_what_was_posted_by_a_clock_that_was_behind_is_found(database: Database) -> None:
    """To hours that are rolled up, and to one from before the first tenant; posted when they were,
    by that clock."""

    async def body(world: World, rollups: PostgresRollups) -> None:
        draw = random.Random(2)
        hours = [hour_ago(ago) for ago in (2, 30, 50)]
        await world.as_superuser("UPDATE tenantry.tenant SET created_at = $1", hour_ago(40))
        postings = [
            a_posting(draw, who.tenant_id, hour, posted_at=hour)
            for who in both(world)
            for hour in hours
        ]
        waste = replace(
            a_posting(draw, world.bert.tenant_id, hours[0], posted_at=hours[0]), pays=False
        )
        async with superuser(world) as connection:
            await post(connection, [*postings, waste])
        assert await charged(world, world.anna) == 0
        assert len(await rollup_violations(world)) > 0
        looking_back = LookingBack(rollups)
        for _ in range(60 // HOURS_AT_ONCE):
            await looking_back.go_on()
        for who in both(world):
            own = [each.amount for each in postings if each.tenant_id == who.tenant_id]
            assert await charged(world, who) == sum(own)
        assert await rollup_violations(world) == []

    in_a_rolled_up_world(database, body)


def test_looking_back_ends_and_begins_again(database: Database) -> None:
    async def body(world: World, rollups: PostgresRollups) -> None:
        newest = await rollups.look_back(None, 6)
        assert newest is not None
        assert abs(newest + 6 * HOUR - await through(world)) <= HOUR
        oldest, seen = newest, 1
        while (earlier := await rollups.look_back(oldest, 500)) is not None:
            assert earlier < oldest
            oldest, seen = earlier, seen + 1
        assert 3 <= seen <= 5, "two months and no more"
        assert await rollups.look_back(None, 6) == newest

    in_a_rolled_up_world(database, body)


def test_nothing_to_look_back_on_is_no_trouble(database: Database) -> None:
    async def run() -> None:
        async with open_world(database) as world:
            assert await PostgresRollups(world.databases.control).look_back(None, 6) is None

    asyncio.run(run())


def test_roll_ups_ahead_of_the_clock_are_told(database: Database) -> None:
    async def body(world: World, rollups: PostgresRollups) -> None:
        assert await rollups.ahead() is None
        ahead = await the_clock_was_ahead(world, 3)
        assert await rollups.ahead() == Ahead(ahead, None)

    in_a_rolled_up_world(database, body)
