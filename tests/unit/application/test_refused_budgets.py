"""When a worker asks whether a refusal is news: seldom, and at once where it may be."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from tests.support.scripted import ManualClock
from tests.support.skipping import run

from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.refused_budgets import (
    AGAIN_S,
    SOON_S,
    TELLING_MAX,
    RefusedBudgetTeller,
)
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Refused

ACME, GLOBEX = TenantId("tnt_acme"), TenantId("tnt_globex")


class Asked:
    def __init__(self) -> None:
        self.asked: list[tuple[TenantId, str]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def raise_refused(self, tenant_id: TenantId, budget: str) -> bool:
        await self.free.wait()
        self.asked.append((tenant_id, budget))
        return True


def refusal(left: str = "0", budget: str = "tenant month charge") -> Refused:
    return Refused("budget", budget, budget_left=Decimal(left))


def test_a_client_that_keeps_knocking_costs_nothing() -> None:
    async def body() -> None:
        budgets, tasks, clock = Asked(), OwnedTasks(), ManualClock()
        teller = RefusedBudgetTeller(budgets, tasks, clock)
        for seconds, tenant, left, asked in (
            (0, ACME, "0.1", 1),
            (0, ACME, "0.2", 1),
            (SOON_S / 2, ACME, "0.2", 1),
            (SOON_S, ACME, "0.1", 1),
            (0, GLOBEX, "0.1", 2),
            (0, ACME, "0.2", 3),  # what is left has changed, so its limit may have
            (SOON_S, ACME, "0.2", 3),
            (AGAIN_S, ACME, "0.2", 4),
        ):
            clock.move(seconds=seconds)
            teller.note(tenant, refusal(left))
            await tasks.drain(1_000)
            assert len(budgets.asked) == asked

    run(body())


def test_what_is_no_budget_is_not_told() -> None:
    async def body() -> None:
        budgets, tasks = Asked(), OwnedTasks()
        teller = RefusedBudgetTeller(budgets, tasks, ManualClock())
        teller.note(ACME, Refused("requests_per_day", "requests_per_day"))
        await tasks.drain(1_000)
        assert budgets.asked == []

    run(body())


def test_many_budgets_that_refuse_at_once_take_no_places_of_calls() -> None:
    async def body() -> None:
        budgets, tasks = Asked(), OwnedTasks()
        budgets.free.clear()
        teller = RefusedBudgetTeller(budgets, tasks, ManualClock())
        names = [f"run:{number} total charge" for number in range(TELLING_MAX + 10)]
        for name in names:
            teller.note(ACME, refusal(budget=name))
        assert len(tasks) == TELLING_MAX
        budgets.free.set()
        await tasks.drain(1_000)
        for name in names:
            teller.note(ACME, refusal(budget=name))
        await tasks.drain(1_000)
        assert [budget for _, budget in budgets.asked] == names

    run(body())
