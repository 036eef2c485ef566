"""Roll-ups: whatever is posted when, usage is that of the ledger at every moment."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.support.invoiced_past import blocked
from tests.support.ledger import World, open_world
from tests.support.postgres import Database
from tests.support.postings import Posting, a_further_one, a_posting, audited, post

from tenantry.adapters.postgres.margin import PostgresMarginBooks
from tenantry.adapters.postgres.rollups import PostgresRollups
from tenantry.application.rolling_up import roll_up
from tenantry.domain.errors import Unavailable
from tenantry.domain.margin import MarginBy
from tenantry.domain.usage import Usage

HOUR = timedelta(hours=1)
BACK = 30  # hours
GROUPS: Sequence[Sequence[str]] = (
    [],
    ["model"],
    ["model", "day"],
    ["hour"],
    ["key", "user"],
    ["tag"],
    ["run", "model"],
)


def in_past(
    database: Database, body: Callable[[World, PostgresRollups, Any], Awaitable[None]], zone: str
) -> None:
    """A world whose tenants have been there for a while, and a connection that posts as of then."""

    async def run() -> None:
        async with open_world(database, zone=zone) as world, superuser(world) as connection:
            await world.as_superuser(
                "UPDATE tenantry.tenant SET created_at = $1", hour_ago(BACK + 5)
            )
            await world.as_superuser("UPDATE tenantry.rollup SET through = $1", hour_ago(BACK + 5))
            await body(world, PostgresRollups(world.databases.control), connection)

    asyncio.run(run())


@asynccontextmanager
async def superuser(world: World) -> Any:
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    await connection.set_type_codec(
        "jsonb", encoder=str, decoder=str, schema="pg_catalog", format="text"
    )
    try:
        yield connection
    finally:
        await connection.close()


def hour_ago(hours: int) -> datetime:
    now = datetime.now(UTC)
    return now.replace(minute=0, second=0, microsecond=0) - hours * HOUR


def an_instant(draw: random.Random) -> datetime:
    return hour_ago(BACK) + timedelta(microseconds=draw.randrange(BACK * 3_600_000_000))


async def held(
    world: World, postings: Sequence[Posting], draw: random.Random, groups: Sequence[Any] = GROUPS
) -> None:
    """Each tenant's usage equals the auditor's count, whole and over a span that cuts hours."""
    whole = (hour_ago(BACK + 2), datetime.now(UTC) + HOUR)
    cut = tuple(sorted((an_instant(draw), an_instant(draw))))
    for who in (world.anna, world.bert):
        for start, end in (whole, cut):
            for by in groups:
                rows = await world.ledger.usage(who, start, end, by)
                found = {
                    tuple(row.group.values()): (row.requests, dict(row.tokens), row.charge)
                    for row in rows
                }
                assert found == audited(postings, who.tenant_id, start, end, by), (start, end, by)


async def rollup_violations(world: World) -> list[Any]:
    found = await world.violations()
    return [each for each in found if each.invariant == "roll_ups_equal_replay"]


@pytest.mark.parametrize(
    ("seed", "zone"), [(1, "UTC"), (2, "America/New_York"), (3, "Asia/Kathmandu")]
)
def test_usage_is_the_ledgers_at_every_moment(database: Database, seed: int, zone: str) -> None:
    async def body(world: World, rollups: PostgresRollups, connection: Any) -> None:
        draw = random.Random(seed)
        tenants = [world.anna.tenant_id, world.bert.tenant_id]
        postings: list[Posting] = []
        for _ in range(8):
            new = [
                a_posting(draw, draw.choice(tenants), an_instant(draw), zone=zone)
                for _ in range(draw.randrange(30))
            ]
            usage = [each for each in postings if each.kind == "usage" and each.call == 0]
            chosen = draw.sample(usage, min(len(usage), 3))
            late = [a_further_one(draw, of) for of in chosen]
            late = [each for each in late if not _posted(postings, each)]
            # Whatever comes after the first round is posted now, and so late.
            new = [each if not postings else _late(each) for each in new]
            await post(connection, new + late)
            postings += new + late
            for _ in range(draw.randrange(3)):
                await draw.choice(
                    (lambda: rollups.advance(draw.randrange(1, 9)), lambda: rollups.renew(5))
                )()
            await held(world, postings, draw, draw.sample(GROUPS, 3))
            assert await rollup_violations(world) == []
        await roll_up(rollups)
        await held(world, postings, draw)
        assert await rollup_violations(world) == []
        marks = await world.fetch("SELECT FROM late_hour, rollup WHERE hour < through")
        assert marks == []
        rolled = await world.fetch("SELECT sum(requests)::int AS n FROM charge_hour")
        assert rolled[0]["n"] > 0

    in_past(database, body, zone)


def _late(posting: Posting) -> Posting:
    values = {name: getattr(posting, name) for name in posting.__dataclass_fields__}
    return Posting(**{**values, "posted_at": datetime.now(UTC)})


def _posted(postings: Sequence[Posting], new: Posting) -> bool:
    return any(
        (each.request_id, each.call, each.kind) == (new.request_id, new.call, new.kind)
        for each in postings
    )


def test_what_commits_while_its_hour_is_rolled_up_is_not_missed(database: Database) -> None:
    async def body(world: World, rollups: PostgresRollups, connection: Any) -> None:
        draw = random.Random(7)
        at = hour_ago(5) + timedelta(minutes=3)
        postings = [a_posting(draw, world.anna.tenant_id, at, posted_at=at)]
        await post(connection, postings)
        begun = connection.transaction()
        await begun.start()
        open_ones = [a_posting(draw, world.anna.tenant_id, at, posted_at=datetime.now(UTC))]
        await post(connection, open_ones)
        await roll_up(rollups)  # does not see it, and is done with its hour
        await held(world, postings, draw)
        await begun.commit()
        await held(world, postings + open_ones, draw)
        assert await rollups.renew(10) == 1
        await held(world, postings + open_ones, draw)
        assert await rollup_violations(world) == []

    in_past(database, body, "UTC")


@pytest.mark.parametrize("table", ["charge_hour", "cost_hour_detail", "late_hour"])
def test_a_step_that_dies_leaves_nothing_and_is_done_again(database: Database, table: str) -> None:
    async def body(world: World, rollups: PostgresRollups, connection: Any) -> None:
        draw = random.Random(3)
        postings = [a_posting(draw, world.anna.tenant_id, an_instant(draw)) for _ in range(40)]
        await post(connection, postings)
        holding = connection.transaction()
        await holding.start()
        await connection.execute(f"LOCK TABLE tenantry.{table} IN SHARE MODE")
        step = asyncio.create_task(rollups.advance(50))
        pid = await blocked(connection)
        await connection.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(Unavailable):
            await step
        await holding.rollback()
        await held(world, postings, draw, GROUPS[:3])
        assert await world.fetch("SELECT * FROM charge_hour") == []
        await roll_up(rollups)
        await held(world, postings, draw)
        assert await rollup_violations(world) == []

    in_past(database, body, "UTC")


def test_margin_is_told_alike_from_roll_ups_and_from_the_ledger(database: Database) -> None:
    async def body(world: World, rollups: PostgresRollups, connection: Any) -> None:
        draw = random.Random(13)
        tenants = [world.anna.tenant_id, world.bert.tenant_id]
        postings = [a_posting(draw, draw.choice(tenants), an_instant(draw)) for _ in range(50)]
        # Waste beside what was charged, and waste alone; further calls of one request.
        postings += [replace(each, kind="adjustment", pays=False) for each in postings[:9]]
        postings += [
            a_posting(draw, draw.choice(tenants), an_instant(draw), pays=False) for _ in range(9)
        ]
        further = [a_further_one(draw, each) for each in postings[20:30]]
        await post(connection, postings)
        books = PostgresMarginBooks(world.databases.operator)
        spans = [
            (hour_ago(BACK + 2), datetime.now(UTC)),
            (hour_ago(20) + timedelta(minutes=7), hour_ago(3) + timedelta(minutes=40)),
        ]

        async def told() -> list[Any]:
            found: list[Any] = [await books.months(*spans[0])]
            for start, end in spans:
                for by in MarginBy:
                    groups, payers = await books.books(start, end, by, "feature")
                    found.append((sorted(groups, key=lambda each: each.name), payers))
            return found

        before = await told()
        assert any(each.retries and each.abandoned for each in before[1][0])
        await rollups.advance(20)
        assert await told() == before
        await roll_up(rollups)
        assert await told() == before
        await post(connection, further)  # late: marked hours
        late = await told()
        assert late != before
        await roll_up(rollups)
        assert await told() == late
        await world.as_superuser("UPDATE tenantry.rollup SET through = $1", hour_ago(BACK + 5))
        assert await told() == late  # as the ledger alone says

    in_past(database, body, "UTC")


def test_of_two_workers_each_step_is_done_once(database: Database) -> None:
    async def body(world: World, rollups: PostgresRollups, connection: Any) -> None:
        draw = random.Random(5)
        postings = [a_posting(draw, world.bert.tenant_id, an_instant(draw)) for _ in range(60)]
        await post(connection, postings)
        await asyncio.gather(*(roll_up(rollups) for _ in range(3)))
        await roll_up(rollups)
        await held(world, postings, draw)
        assert await rollup_violations(world) == []

    in_past(database, body, "UTC")


@pytest.mark.parametrize("table", ["charge_hour", "charge_hour_detail", "cost_hour_detail"])
def test_a_wrong_roll_up_is_found(database: Database, table: str) -> None:
    async def body(world: World, rollups: PostgresRollups, connection: Any) -> None:
        draw = random.Random(9)
        await post(connection, [a_posting(draw, world.anna.tenant_id, hour_ago(4))])
        await roll_up(rollups)
        assert await rollup_violations(world) == []
        await world.as_superuser(f"UPDATE tenantry.{table} SET amount = amount + 0.0000001")
        assert len(await rollup_violations(world)) == 2

    in_past(database, body, "UTC")


def test_a_ledger_that_was_never_rolled_up_is_rolled_up_from_its_beginning(
    database: Database,
) -> None:
    async def body() -> None:
        async with open_world(database) as world, superuser(world) as connection:
            draw = random.Random(21)
            rollups = PostgresRollups(world.databases.control)
            # Older than the tenants, who were made just now, and younger.
            begun = hour_ago(10)  # by one clock: an hour may end meanwhile
            await world.as_superuser("UPDATE tenantry.tenant SET created_at = $1", begun)
            postings = [a_posting(draw, world.anna.tenant_id, an_instant(draw)) for _ in range(30)]
            await post(connection, postings)
            steps = [await world.fetch("SELECT through FROM rollup")]
            while await rollups.advance(6):
                steps.append(await world.fetch("SELECT through FROM rollup"))
                await held(world, postings, draw, GROUPS[:4])
            assert [row["through"] for [row] in steps[1:3]] == [begun, begun + 6 * HOUR]
            assert await rollup_violations(world) == []
            oldest = await world.fetch("SELECT min(hour) AS h FROM charge_hour")
            assert oldest[0]["h"] <= min(each.at for each in postings)

    asyncio.run(body())


def test_requests_of_the_gate_are_rolled_up_without_a_mark(database: Database) -> None:
    async def body(world: World, rollups: PostgresRollups, connection: Any) -> None:
        made = await world.admitted()
        await world.settle(made, world.outcome(Usage(uncached_in=1_000, out=500)))
        assert await world.fetch("SELECT * FROM late_hour") == []
        late = await world.admitted()
        await world.as_superuser(
            "UPDATE tenantry.open_request SET admitted_at = admitted_at - interval '6 minutes'"
        )
        await world.settle(late, world.outcome(Usage(uncached_in=1_000, out=500)))
        assert len(await world.fetch("SELECT * FROM late_hour")) == 2  # of either book

    in_past(database, body, "UTC")
