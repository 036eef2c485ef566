"""A rate of many tenants is brought to their balances in pages, and holds up no other requests.

What is locked is counted, and no time is taken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from tests.support.billing import House
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.statements import statements
from tenantry.application.budget_rates import SETTLED_S, rates_round
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.ids import TenantId
from tenantry.domain.tenant import Principal

LONG_AGO, LATER = date(2020, 1, 1), date(2020, 1, 2)
SET = datetime(2024, 5, 1, 12, tzinfo=UTC)  # a budget, long ago
_FREE = "SELECT tenant_id FROM tenantry.counter FOR NO KEY UPDATE SKIP LOCKED"


def rate_of(rate: str, day: date = LONG_AGO, quote: str = "EUR") -> ExchangeRate:
    return ExchangeRate(day, "USD", quote, Decimal(rate), "central bank")


async def in_euro(world: World, count: int) -> list[TenantId]:
    """Anna and `count` - 1 others at 0.5, with balances, by id; Bert's are in USD."""
    house = House.of(world)
    await house.billing.contracts.add_rate(rate_of("0.5"))
    people = [world.anna]
    for n in range(count - 1):
        tenant = await world.control.create_tenant(f"e{n:03}", plan="standard")
        people.append(Principal(tenant, world.anna.api_key_id))
    for who in people:
        await house.contract(who, currency="EUR")
    assert await held(world) == {"0.5": count, "1": 1}
    return sorted(who.tenant_id for who in people)


async def held(world: World) -> dict[str, int]:
    """How many balances are held at which rate."""
    rows = await world.fetch("SELECT rate::text, count(*) AS n FROM budget_use GROUP BY 1")
    return {row["rate"]: row["n"] for row in rows}


async def at_rate(world: World, rate: str) -> set[str]:
    rows = await world.fetch("SELECT tenant_id FROM budget_use WHERE rate = $1", Decimal(rate))
    return {row["tenant_id"] for row in rows}


async def locked(world: World) -> set[str]:
    """Tenants for which a request would have to wait."""
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    try:
        free = {row["tenant_id"] for row in await connection.fetch(_FREE)}
        every = await connection.fetch("SELECT tenant_id FROM tenantry.counter")
    finally:
        await connection.close()
    return {row["tenant_id"] for row in every} - free


@asynccontextmanager
async def under_way(world: World) -> AsyncIterator[Any]:
    """A transaction of control that has not ended."""
    connection = await asyncpg.connect(world.database.dsn("control"))
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def enter(connection: Any, rate: ExchangeRate) -> None:
    values = (rate.base, rate.quote, rate.day, rate.rate, rate.source)
    await connection.fetch(statements("sql/contracts.sql")["insert_rate"], *values)


async def page(connection: Any, after: str, limit: int) -> Any:
    return await connection.fetchrow(statements("sql/contracts.sql")["convert"], after, limit)


def test_a_rate_moves_the_balances_of_its_own_currency_alone(database: Database) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        contracts = house.billing.contracts
        for quote in ("EUR", "CHF"):
            await contracts.add_rate(rate_of("0.5", quote=quote))
        await house.contract(world.anna, currency="EUR")
        await house.contract(world.bert, currency="CHF")
        await contracts.add_rate(rate_of("0.25", LATER))
        assert await at_rate(world, "0.25") == {world.anna.tenant_id}
        assert await at_rate(world, "0.5") == {world.bert.tenant_id}

    in_world(database, body)


def test_a_rate_that_is_being_entered_locks_no_tenant(database: Database) -> None:
    async def body(world: World) -> None:
        await in_euro(world, 3)
        async with under_way(world) as connection:
            await enter(connection, rate_of("0.25", LATER))
            assert await locked(world) == set()
            await world.admitted(world.anna)
            await world.admitted(world.bert)

    in_world(database, body)


def test_a_page_locks_its_own_tenants_alone(database: Database) -> None:
    async def body(world: World) -> None:
        euro = await in_euro(world, 5)
        others = set(euro[2:]) | {world.bert.tenant_id}
        async with under_way(world) as connection:
            await enter(connection, rate_of("0.25", LATER))
        async with under_way(world) as connection:
            done = await page(connection, "", 2)
            assert (done["through"], done["converted"]) == (euro[1], 2)
            assert await locked(world) == set(euro[:2])
            await world.admitted(world.bert)  # another currency
            assert (others & await locked(world)) == set()
        assert await at_rate(world, "0.25") == set(euro[:2])
        # Those that wait for their page are held at the rate of before, and nothing is broken.
        assert await world.violations() == []

    in_world(database, body)


def test_a_tenant_of_the_currency_is_admitted_while_another_ones_page_is_under_way(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        euro = await in_euro(world, 2)
        async with under_way(world) as connection:
            await enter(connection, rate_of("0.25", LATER))
        async with under_way(world) as connection:
            first, last = euro[0], euro[1]
            assert first == world.anna.tenant_id  # ids sort by time
            assert (await page(connection, first, 2))["through"] == last
            await world.admitted(world.anna)
        assert await at_rate(world, "0.25") == {last}

    in_world(database, body)


def test_entering_a_rate_ends_when_every_page_is_converted(database: Database) -> None:
    async def body(world: World) -> None:
        await in_euro(world, 5)
        contracts = House.of(world).billing.contracts
        await contracts.add_rate(rate_of("0.25", LATER))
        assert await held(world) == {"0.25": 5, "1": 1}
        assert await contracts.convert_budgets() == 0
        await House.of(world).contract(world.anna, currency="USD")  # its latest version counts
        async with under_way(world) as connection:
            await enter(connection, rate_of("0.125", LATER + timedelta(days=1)))
        assert await contracts.convert_budgets(2) == 4
        assert await held(world) == {"0.125": 4, "1": 2}

    in_world(database, body)


def test_what_was_broken_off_is_finished_by_whoever_comes_next(database: Database) -> None:
    async def body(world: World) -> None:
        euro = await in_euro(world, 3)
        contracts = House.of(world).billing.contracts
        async with under_way(world) as connection:  # a command that is killed after a page
            await enter(connection, rate_of("0.25", LATER))
        async with under_way(world) as connection:
            await page(connection, "", 1)
        assert await at_rate(world, "0.25") == set(euro[:1])
        await contracts.add_rate(rate_of("0.25", LATER))  # the same again
        assert await held(world) == {"0.25": 3, "1": 1}

        async with under_way(world) as connection:
            await enter(connection, rate_of("0.125", LATER + timedelta(days=1)))
        convert = rates_round(contracts)
        assert await convert.work() == 3
        assert await held(world) == {"0.125": 3, "1": 1}

    in_world(database, body)


def test_the_round_compares_while_a_rate_is_new_and_once_after(database: Database) -> None:
    async def body(world: World) -> None:
        await in_euro(world, 2)
        contracts = House.of(world).billing.contracts
        convert = rates_round(contracts)
        stale = "UPDATE tenantry.budget_use SET rate = 2 WHERE rate = 0.5"

        async def entered_long_ago() -> None:
            await world.as_superuser(
                "SET session_replication_role = replica;"
                "UPDATE tenantry.exchange_rate SET entered_at = entered_at"
                f" - interval '{SETTLED_S + 1} seconds'"
            )

        for _ in range(2):  # a request that began before it ended after it
            await world.as_superuser(stale)
            assert await convert.work() == 2
        await entered_long_ago()
        await world.as_superuser(stale)
        assert await convert.work() == 2
        await world.as_superuser(stale)
        assert await convert.work() == 0  # nothing new was entered
        assert await rates_round(contracts).work() == 2  # of a worker that has just begun

    in_world(database, body)


def test_a_page_ends_with_the_tenant_that_has_many_balances(database: Database) -> None:
    async def body(world: World) -> None:
        euro = await in_euro(world, 3)
        await world.as_superuser(
            "WITH b AS (INSERT INTO tenantry.budget (tenant_id, subject, period, basis, amount,"
            " hard) SELECT $1, 'user:' || n, 'day', 'charge', 1, true"
            " FROM generate_series(1, 1000) n RETURNING *) INSERT INTO tenantry.budget_use"
            " (tenant_id, subject, period, basis, period_start, period_end, amount, hard, rate)"
            " SELECT b.tenant_id, b.subject, b.period, b.basis, date_trunc('day', now(), 'UTC'),"
            " date_trunc('day', now(), 'UTC') + interval '1 day', 1, true, 0.5 FROM b",
            euro[1],
        )
        async with under_way(world) as connection:
            await enter(connection, rate_of("0.25", LATER))
        async with under_way(world) as connection:
            done = await page(connection, "", 100)
            assert (done["through"], done["converted"]) == (euro[1], 2)
            assert await locked(world) == set(euro[:2])
        assert await House.of(world).billing.contracts.convert_budgets() == 1

    in_world(database, body)


@pytest.mark.parametrize("setter", ["place_budget", "place_own_budget", "set_budget"])
def test_a_total_that_is_set_again_has_the_rate_of_that_day_at_once(
    database: Database, setter: str
) -> None:
    """No round of a worker changes its room later; what is not touched keeps its own."""

    async def body(world: World) -> None:
        euro = await in_euro(world, 2)
        contracts = House.of(world).billing.contracts
        place = "SELECT place_budget($1, 'run:r', 'total', 'charge', 100, true)"
        for tenant_id in euro:
            assert await world.databases.control.fetchval(place, tenant_id) == "set"
        await world.as_superuser("UPDATE tenantry.budget SET set_by = 'tenant', set_at = $1", SET)
        await contracts.add_rate(rate_of("0.8", (SET + timedelta(days=2)).date()))
        totals = "SELECT tenant_id, amount, rate FROM budget_use WHERE period = 'total'"
        assert {row["rate"] for row in await world.fetch(totals)} == {Decimal("0.5")}

        if setter == "place_own_budget":
            async with world.work.writing(euro[0]) as unit:
                await unit.fetchval("SELECT place_own_budget('run:r', 'total', 200, true)")
        else:
            again = f"SELECT {setter}($1, 'run:r', 'total', 'charge', 200, true)"
            await world.databases.control.fetchval(again, euro[0])
        expected = {(euro[0], 200, Decimal("0.8")), (euro[1], 100, Decimal("0.5"))}
        for _ in range(2):
            assert {tuple(row) for row in await world.fetch(totals)} == expected
            assert await contracts.convert_budgets() == 0

    in_world(database, body)
