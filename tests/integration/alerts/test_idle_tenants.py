"""Tenants of whom nothing is known pass an hour together, until they use something."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from tests.support.ledger import World, in_world
from tests.support.postgres import Database
from tests.support.watched import alerts_in, flat, hours_in, past, this_hour, told, watch

from tenantry.application.usage_watch import watch_usage
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome

USED = Usage(uncached_in=600, out=500)
RUNAWAY = Usage(uncached_in=1_200_000)


async def progress(world: World) -> dict[str, tuple[datetime, datetime]]:
    rows = await world.fetch("SELECT tenant_id, summed_through, judged_through FROM usage_watch")
    return {row["tenant_id"]: (row["summed_through"], row["judged_through"]) for row in rows}


async def statements(world: World, hours_on: int) -> int:
    """How many statements a round sends."""
    sent: list[str] = []
    pool = world.databases.control
    connections = [await pool.acquire() for _ in range(pool.get_max_size())]

    def log(record: Any) -> None:
        sent.append(record.query)

    for connection in connections:
        connection.add_query_logger(log)
        await pool.release(connection)
    assert await watch(world, hours_on) == 0
    for connection in [await pool.acquire() for _ in range(pool.get_max_size())]:
        await pool.release(connection)  # which takes the loggers off
    return len(sent)


def test_a_round_asks_no_more_for_many_idle_tenants_than_for_two(database: Database) -> None:
    async def body(world: World) -> None:
        await watch(world, 0)
        few = await statements(world, 1)
        for number in range(40):
            await world.control.create_tenant(f"idle-{number}", plan="standard")
        assert await statements(world, 2) == few  # new ones
        assert await statements(world, 3) == few  # known ones
        through = this_hour() + timedelta(hours=4)
        assert set((await progress(world)).values()) == {(through, through)}
        assert len(await progress(world)) == 42

    in_world(database, body)


def test_who_uses_something_is_idle_no_more(database: Database) -> None:
    async def body(world: World) -> None:
        for hours_on in (-2, -1):
            await watch(world, hours_on)
        released = AttemptOutcome(
            call=0, attempt=1, end="released", charged=False, error="ThrottlingException"
        )
        await world.settle(await world.admitted(world.anna), released)
        await world.settle(await world.admitted(world.bert), world.outcome(USED))
        slow = await world.admitted(world.bert)
        await watch(world, 0)
        seen = await seen_of(world)
        assert seen == {world.anna.tenant_id: (0, 1), world.bert.tenant_id: (1, 0)}
        await world.settle(slow, world.outcome(USED))
        for hours_on in (1, 2, 3):
            await watch(world, hours_on)
        seen = await seen_of(world)
        assert seen == {world.anna.tenant_id: (0, 1), world.bert.tenant_id: (2, 0)}

    in_world(database, body)


async def seen_of(world: World) -> dict[str, tuple[int, int]]:
    """Requests and throttled attempts of tenants whose hours hold anything."""
    rows = await world.fetch("SELECT tenant_id, requests, throttled FROM watched_hour")
    assert len({row["tenant_id"] for row in rows}) == len(rows)
    return {row["tenant_id"]: (row["requests"], row["throttled"]) for row in rows}


def test_who_has_a_past_is_not_idle(database: Database) -> None:
    """Its silence is told, while another one that never asked says nothing."""

    async def body(world: World) -> None:
        await past(world, world.anna, flat())
        for hours_on in (0, 1, 2):
            await watch(world, hours_on)
        assert await told(world, world.anna) == ["usage.silence"]
        assert await told(world, world.bert) == []

    in_world(database, body)


def test_what_came_in_before_the_first_round_is_judged(database: Database) -> None:
    async def body(world: World) -> None:
        await world.settle(await world.admitted(world.anna), world.outcome(RUNAWAY))
        await watch(world, 0)
        assert await seen_of(world) == {world.anna.tenant_id: (1, 0)}

    in_world(database, body)


def test_several_workers_pass_the_idle_at_once(database: Database) -> None:
    async def body(world: World) -> None:
        for number in range(5):
            await world.control.create_tenant(f"idle-{number}", plan="standard")
        assert await asyncio.gather(*(watch(world) for _ in range(4))) == [0] * 4
        through = this_hour() + timedelta(hours=1)
        assert set((await progress(world)).values()) == {(through, through)}
        assert await watch(world, -2) == 0  # who is behind moves nobody back
        assert set((await progress(world)).values()) == {(through, through)}

    in_world(database, body)


def test_who_is_being_judged_is_left_to_who_judges(database: Database) -> None:
    async def body(world: World) -> None:
        await watch(world)
        through = this_hour() + timedelta(hours=2)
        since = through - timedelta(weeks=12)
        whose: list[Principal] = [world.anna, world.bert]
        ids = [who.tenant_id for who in whose]
        async with world.databases.control.acquire() as held, held.transaction():
            await held.execute(
                "SELECT FROM tenantry.usage_watch WHERE tenant_id = $1 FOR NO KEY UPDATE", ids[0]
            )
            passed = await alerts_in(world).pass_idle(ids, since, through)
        assert passed == {ids[1]}
        now = through + timedelta(minutes=20)
        assert await watch_usage(alerts_in(world), hours_in(world), now) == 0
        assert set((await progress(world)).values()) == {(through, through)}

    in_world(database, body)
