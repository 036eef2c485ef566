"""When a worker asks whether a refusal is news: seldom, and at once where it may be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.support.scripted import ManualClock
from tests.support.skipping import run

from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.refused_budgets import (
    AGAIN_S,
    TELLING_MAX,
    RefusedBudgetTeller,
)
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Refused, RefusingBudget

ACME, GLOBEX = TenantId("tnt_acme"), TenantId("tnt_globex")


class Asked:
    def __init__(self) -> None:
        self.asked: list[tuple[TenantId, str]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def raise_refused(self, tenant_id: TenantId, refused: Refused) -> bool:
        await self.free.wait()
        self.asked.append((tenant_id, refused.limit))
        return True


DAY = datetime(2026, 12, 1, tzinfo=UTC)


def refusal(
    limit: str = "5",
    budget: str = "tenant month charge",
    *,
    left: str = "0",
    unit: str = "USD",
    resets_at: datetime = DAY,
) -> Refused:
    of = RefusingBudget(Decimal(limit), Decimal(left), unit, Decimal(1))
    return Refused("budget", budget, None, resets_at, Decimal(left), of)


def test_a_client_that_keeps_knocking_costs_nothing() -> None:
    async def body() -> None:
        budgets, tasks, clock = Asked(), OwnedTasks(), ManualClock()
        teller = RefusedBudgetTeller(budgets, tasks, clock)
        for seconds, tenant, told, asked in (
            (0, ACME, refusal("5"), 1),
            (0, ACME, refusal("5.00", left="0.2"), 1),
            (AGAIN_S / 2, ACME, refusal("5"), 1),
            (0, GLOBEX, refusal("5"), 2),
            (0, ACME, refusal("6"), 3),
            (0, ACME, refusal("5"), 3),  # a limit that is changed by turns
            (0, ACME, refusal("5", unit="EUR"), 4),
            (0, ACME, refusal("5", resets_at=DAY + timedelta(days=1)), 5),
            (0, ACME, refusal("5", "tenant day charge"), 6),
            (AGAIN_S / 2, ACME, refusal("5"), 7),
            (0, ACME, refusal("5"), 7),
        ):
            clock.move(seconds=seconds)
            teller.note(tenant, told)
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
