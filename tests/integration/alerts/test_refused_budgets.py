"""A hard budget that refuses: told once a period and limit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from tests.support.billing import House
from tests.support.budget_alerts import (
    CHARGE,
    alerts_in,
    budget,
    day_is_over,
    notices,
    spend,
)
from tests.support.ledger import World, in_world, open_world
from tests.support.outbox import StillClock
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.refused_budgets import RefusedBudgetTeller
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Admitted, Refused


async def refuse(world: World, teller: RefusedBudgetTeller, tasks: OwnedTasks) -> None:
    """Anna asks once more, is refused, and the alert is raised or known to be there."""
    teller.note(world.anna.tenant_id, await world.refused())
    await tasks.drain(10_000)


def test_a_hard_budget_that_refuses_is_told_once_a_period(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.05", hard=True)
        await budget(world, "0.5", basis="cost", hard=True)
        tasks = OwnedTasks()
        teller = RefusedBudgetTeller(alerts_in(world), tasks, SystemClock())
        again = RefusedBudgetTeller(alerts_in(world), tasks, SystemClock())
        await spend(world)  # .0315: the next might take .0315 more
        for worker in (teller, teller, again):
            await refuse(world, worker, tasks)
        (row,) = await alerts_in(world).alerts()
        assert (row.kind, row.subject, row.observed, row.expected) == (
            "budget.refused", "tenant", CHARGE, Decimal("0.05"),
        )  # fmt: skip
        assert (row.tenant_id, row.severity) == (world.anna.tenant_id, "critical")
        assert isinstance(await world.admission.admit(world.reservation(world.bert)), Admitted)
        assert len(await notices(world)) == 1
        assert not await alerts_in(world).raise_refused(world.bert.tenant_id, await world.refused())

    in_world(database, body)


def test_what_refused_is_told_of_though_its_limit_was_raised_meanwhile(database: Database) -> None:
    """And the limit that came after it is told once it refuses too."""

    async def body(world: World) -> None:
        book = alerts_in(world)
        await budget(world, "0.05", hard=True)
        await spend(world)
        refused = await world.refused()
        await budget(world, "0.1", hard=True)
        assert await book.raise_refused(world.anna.tenant_id, refused)
        await spend(world, 2)
        assert await book.raise_refused(world.anna.tenant_id, await world.refused())
        assert not await book.raise_refused(world.anna.tenant_id, refused)
        rows = [(row.observed, row.expected) for row in reversed(await book.alerts())]
        assert rows == [(CHARGE, Decimal("0.05")), (3 * CHARGE, Decimal("0.1"))]

    in_world(database, body)


def test_a_refusal_is_of_the_period_that_refused_though_the_next_has_begun(
    database: Database,
) -> None:
    async def body() -> None:
        async with open_world(database) as world:  # whose ledger is not moved, so it has no replay
            book = alerts_in(world)
            await budget(world, "0.05", period="day", hard=True)
            await spend(world)
            refused = await world.refused()
            assert refused.resets_at is not None
            await day_is_over(world)
            ended = refused.resets_at - timedelta(days=1)
            await spend(world)  # of the next day, of which nothing was refused
            await budget(world, "0.06", period="day", hard=True)
            then = replace(refused, resets_at=ended)
            assert await book.raise_refused(world.anna.tenant_id, then)
            [row] = await book.alerts()
            assert (row.ends_at, row.expected) == (ended, Decimal("0.05"))
            assert await book.raise_refused(world.anna.tenant_id, await world.refused())

    asyncio.run(body())


def test_a_limit_of_another_currency_that_refuses_is_told_in_it(database: Database) -> None:
    async def body(world: World) -> None:
        house, book = House.of(world), alerts_in(world)
        rate = ExchangeRate(date(2020, 1, 1), "USD", "EUR", Decimal("0.92"), "cb")
        await house.billing.contracts.add_rate(rate)
        await house.contract(world.anna, currency="EUR")
        await budget(world, "0.05", hard=True)
        await spend(world)
        in_euro = await world.refused()
        await house.contract(world.anna, currency="USD")
        assert await book.raise_refused(world.anna.tenant_id, in_euro)
        assert await book.raise_refused(world.anna.tenant_id, await world.refused())
        rows = [(row.observed, row.unit, row.currency) for row in reversed(await book.alerts())]
        assert rows == [(Decimal("0.02898"), "EUR", "EUR"), (CHARGE, "USD", "USD")]

    in_world(database, body)


def test_each_limit_that_refuses_is_told_once(database: Database) -> None:
    """Also at once, by the worker that has just told of the limit before."""

    async def body(world: World) -> None:
        tasks = OwnedTasks()
        teller = RefusedBudgetTeller(alerts_in(world), tasks, StillClock())
        await budget(world, "0.00005", hard=True)
        await refuse(world, teller, tasks)
        await budget(world, "500", hard=True)
        await spend(world)
        for limit in ("0.0516", "0.0516", "0.00005", "0.0516"):
            await budget(world, limit, hard=True)
            await refuse(world, teller, tasks)
        rows = [row for row in await alerts_in(world).alerts() if row.kind == "budget.refused"]
        assert [str(row.expected) for row in rows] == ["0.0516", "0.00005"]
        assert {row.tenant_id for row in rows} == {world.anna.tenant_id}
        assert len(await notices(world)) == 2

    in_world(database, body)


def test_a_budget_that_has_become_soft_is_not_said_to_refuse(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.01", hard=True)
        refused = await world.refused()
        await budget(world, "0.01", hard=False)
        assert not await alerts_in(world).raise_refused(world.anna.tenant_id, refused)

    in_world(database, body)


def test_a_refusal_that_could_not_be_told_is_told_with_the_next(database: Database) -> None:
    class Out:
        def __init__(self) -> None:
            self.asked = 0

        async def raise_refused(self, tenant_id: TenantId, refused: Refused) -> bool:
            self.asked += 1
            if self.asked == 1:
                raise Unavailable()
            return True

    async def body(world: World) -> None:
        await budget(world, "0.01", hard=True)
        out, tasks = Out(), OwnedTasks()
        teller = RefusedBudgetTeller(out, tasks, SystemClock())
        for asked in (1, 2, 2):
            await refuse(world, teller, tasks)
            assert out.asked == asked

    in_world(database, body)
