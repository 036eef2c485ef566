"""A hard budget that refuses: told once a period and limit."""

from __future__ import annotations

from decimal import Decimal

from tests.support.budget_alerts import CHARGE, alerts_in, budget, notices, spend
from tests.support.ledger import World, in_world
from tests.support.outbox import StillClock
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.refused_budgets import SOON_S, RefusedBudgetTeller
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Admitted, Refused


async def refuse(world: World, teller: RefusedBudgetTeller, tasks: OwnedTasks) -> None:
    """Anna asks once more, is refused, and the alert is raised or known to be there."""
    verdict = await world.admission.admit(world.reservation())
    assert isinstance(verdict, Refused)
    teller.note(world.anna.tenant_id, verdict)
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
        assert not await alerts_in(world).raise_refused(world.bert.tenant_id, "tenant month charge")

    in_world(database, body)


def test_each_limit_that_refuses_is_told_once(database: Database) -> None:
    """Also at once, by the worker that has just told of the limit before."""

    async def body(world: World) -> None:
        tasks, clock = OwnedTasks(), StillClock()
        teller = RefusedBudgetTeller(alerts_in(world), tasks, clock)
        await budget(world, "0.00005", hard=True)
        await refuse(world, teller, tasks)
        await budget(world, "500", hard=True)
        await spend(world)
        for limit in ("0.0516", "0.0516", "0.00005", "0.0516"):
            clock.pass_by(seconds=SOON_S)
            await budget(world, limit, hard=True)
            await refuse(world, teller, tasks)
        rows = [row for row in await alerts_in(world).alerts() if row.kind == "budget.refused"]
        assert [str(row.expected) for row in rows] == ["0.0516", "0.00005"]
        assert {row.tenant_id for row in rows} == {world.anna.tenant_id}
        assert len(await notices(world)) == 2

    in_world(database, body)


def test_a_budget_that_has_become_soft_is_not_said_to_refuse(database: Database) -> None:
    async def body(world: World) -> None:
        await budget(world, "0.01", hard=False)
        await world.admitted()
        assert not await alerts_in(world).raise_refused(world.anna.tenant_id, "tenant month charge")

    in_world(database, body)


def test_a_refusal_that_could_not_be_told_is_told_with_the_next(database: Database) -> None:
    class Out:
        def __init__(self) -> None:
            self.asked = 0

        async def raise_refused(self, tenant_id: TenantId, budget: str) -> bool:
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
