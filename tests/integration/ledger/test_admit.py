"""Admission: every limit and budget, decided for all workers in one place."""

import asyncio
import dataclasses
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.support.ledger import World, in_world, intent, synthetic_prices
from tests.support.postgres import Database

from tenantry.domain.plan import PlanError
from tenantry.domain.usage import Usage
from tenantry.ports.admission import Admitted, Refused, RefusingBudget
from tenantry.ports.control import Budget

USED = Usage(uncached_in=1_000, out=500)
LIMITS = [
    "requests_per_day",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "monthly_budget",
]


@pytest.mark.parametrize("limit", LIMITS)
def test_zero_blocks_all_and_absent_is_unlimited(database: Database, limit: str) -> None:
    async def body(world: World) -> None:
        await world.admitted()
        zero: Any = "0" if limit == "monthly_budget" else 0
        await world.plan(**{limit: zero})
        refused = await world.refused()
        assert refused.code == ("budget" if limit == "monthly_budget" else limit)
        assert refused.retry_after_ms is None, "waiting would not help"
        free = {"worst_tokens": 0, "worst_cost": Decimal(0), "worst_charge": Decimal(0)}
        assert (await world.refused(**free)).code == refused.code

    in_world(database, body)


def test_a_limit_that_cannot_be_is_an_error_at_load(database: Database) -> None:
    async def body(world: World) -> None:
        for wrong in ({"requests_per_day": -1}, {"requests_per_daze": 1}, {"markup": 1.5}):
            with pytest.raises(PlanError):
                await world.control.apply_plans({"standard": wrong})

    in_world(database, body)


def test_the_day_the_minute_and_the_slots(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(requests_per_day=2)
        held = [await world.admitted() for _ in range(2)]
        refused = await world.refused()
        assert (refused.code, refused.limit) == ("requests_per_day", "requests_per_day")
        assert refused.resets_at is not None
        assert timedelta(0) < refused.resets_at - datetime.now(UTC) <= timedelta(days=1)
        uncounted = await world.admitted(counts_as_request=False)
        await world.admitted(world.bert)

        await world.plan(requests_per_minute=3)
        refused = await world.refused()
        assert refused.code == "requests_per_minute"
        assert refused.retry_after_ms is not None
        assert 0 < refused.retry_after_ms <= 66_000
        await world.admitted(paced_by_minute=False)

        await world.plan(concurrent_requests=4)
        assert (await world.refused()).code == "concurrent_requests"
        await world.settle(held[0], world.outcome(USED))
        await world.admitted()
        await world.settle(uncounted, world.outcome(USED))

    in_world(database, body)


def test_tokens_of_a_minute_are_given_back_at_settlement(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(tokens_per_minute=4_000)
        first = await world.admitted()
        second = await world.admitted()
        assert (await world.refused()).code == "tokens_per_minute"
        await world.settle(first, world.outcome(Usage(uncached_in=100)))
        await world.settle(second, world.outcome(USED))
        await world.admitted()
        larger = await world.refused(worst_tokens=4_001)
        assert (larger.code, larger.limit) == ("larger_than_limit", "tokens_per_minute")

    in_world(database, body)


def test_a_sliding_minute_never_sees_more_than_the_limit(database: Database) -> None:
    """Lets time pass by moving the window back, six seconds at a time, and passes some itself."""

    async def body(world: World) -> None:
        await world.plan(requests_per_minute=10)
        admitted_at: list[float] = []
        begun = time.monotonic()
        for second in range(0, 180, 6):
            for _ in range(4):
                verdict = await world.admission.admit(world.reservation())
                if isinstance(verdict, Admitted):
                    admitted_at.append(second + time.monotonic() - begun)
            await world.as_superuser(
                "UPDATE tenantry.counter SET latest_slot = latest_slot - 1,"
                " request_slots = request_slots[2:11] || request_slots[1:1],"
                " token_slots = token_slots[2:11] || token_slots[1:1]"
            )
        for start in admitted_at:
            assert sum(start <= at < start + 60 for at in admitted_at) <= 10
        assert len(admitted_at) >= 25, "and what has left the window can be had again"

    in_world(database, body)


def test_every_scope_has_its_own_budget(database: Database) -> None:
    async def body(world: World) -> None:
        one = Decimal("0.0315")
        for scope, scope_id, period in (
            ("user", "alice", "day"),
            ("run", "run-1", "total"),
            ("api_key", world.anna.api_key_id, "month"),
        ):
            limit = one * (3 if scope == "api_key" else 1)
            await world.control.set_budget(
                Budget(world.anna.tenant_id, scope, scope_id, period, "charge", limit)  # type: ignore[arg-type]
            )
        await world.admitted(user_hash="alice")
        refused = await world.refused(user_hash="alice", run_id="run-2")
        assert (refused.code, refused.limit) == ("budget", "user:alice day charge")
        assert refused.resets_at is not None
        await world.admitted(run_id="run-1")
        refused = await world.refused(run_id="run-1", user_hash="bob")
        assert (refused.limit, refused.resets_at) == ("run:run-1 total charge", None)
        await world.admitted(user_hash="bob")
        assert (await world.refused()).limit.startswith("api_key:")
        await world.admitted(world.bert, user_hash="alice", run_id="run-1")

    in_world(database, body)


def test_a_refused_budget_says_what_it_had_left(database: Database) -> None:
    async def body(world: World) -> None:
        async def cap(scope: str, basis: str, amount: str) -> None:
            await world.control.set_budget(
                Budget(world.anna.tenant_id, scope, "run-1", "total", basis, Decimal(amount))  # type: ignore[arg-type]
            )

        await cap("run", "cost", "0.025")
        await world.plan(monthly_budget="1", concurrent_requests=3)
        spent = await world.admitted(run_id="run-1")
        await world.settle(spent, world.outcome(Usage(uncached_in=1_000)))
        batch = [world.reservation(run_id="run-1") for _ in range(3)]
        verdicts = await asyncio.gather(*(world.admission.admit(each) for each in batch))
        assert [isinstance(v, Admitted) for v in verdicts] == [True, True, False]
        refused = verdicts[-1]
        assert isinstance(refused, Refused)
        assert (refused.limit, refused.budget_left) == ("run:run-1 total cost", Decimal("0.001"))
        left = RefusingBudget(Decimal("0.025"), Decimal("0.001"), "USD", Decimal(1))
        assert refused.budget == left, "without what the others of its batch have taken"

        await cap("run", "cost", "0.01")
        refused = await world.refused(run_id="run-1")
        assert refused.budget_left == 0, "it was lowered under what it had reserved"
        assert refused.budget == replace(left, limit=Decimal("0.01"), left=Decimal(0))
        await cap("run", "charge", "0")
        refused = await world.refused(run_id="run-1", worst_cost=Decimal(0))
        assert (refused.limit, refused.budget_left) == ("run:run-1 total charge", Decimal(0))
        await world.admitted()
        refused = await world.refused()
        assert refused.budget_left is refused.budget is None, "no budget refused"

    in_world(database, body)


def test_a_soft_budget_admits_and_marks(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(monthly_budget="0.04", budget_hard=False)
        for _ in range(2):
            await world.settle(await world.admitted(), world.outcome(USED))
        rows = await world.fetch("SELECT flags FROM charge_entry ORDER BY admitted_at")
        assert ["over_soft_budget" in row["flags"] for row in rows] == [False, True]

    in_world(database, body)


def test_a_plan_that_only_alerts_has_a_soft_budget(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(soft_alert_at="0.04")
        for _ in range(2):
            await world.settle(await world.admitted(), world.outcome(USED))
        rows = await world.fetch("SELECT flags FROM charge_entry ORDER BY admitted_at")
        assert ["over_soft_budget" in row["flags"] for row in rows] == [False, True]
        (limit,) = await world.ledger.limits(world.anna)
        assert (limit["name"], limit["limit"], limit["hard"]) == (
            "monthly_budget", Decimal("0.04"), False,
        )  # fmt: skip
        await world.plan(soft_alert_at="0.04", monthly_budget="0.05")
        assert (await world.refused()).limit == "plan month charge", "a hard one goes before it"

    in_world(database, body)


def test_a_budget_counts_what_was_spent_before_it_was_set(database: Database) -> None:
    async def body(world: World) -> None:
        await world.settle(await world.admitted(user_hash="alice"), world.outcome(USED))
        await world.admitted(user_hash="alice")
        await world.admitted(user_hash="bob")
        for basis in ("charge", "cost"):
            await world.control.set_budget(
                Budget(world.anna.tenant_id, "user", "alice", "month", basis, Decimal(1))  # type: ignore[arg-type]
            )
        rows = await world.control.list_budgets(world.anna.tenant_id)
        assert [(r["basis"], r["settled"], r["reserved"]) for r in rows] == [
            ("charge", Decimal("0.0315"), Decimal("0.0315")),
            ("cost", Decimal("0.0105"), Decimal("0.0105")),
        ]
        assert await world.control.list_budgets(world.bert.tenant_id) == []

    in_world(database, body)


def test_status_and_key_hold_for_the_next_request(database: Database) -> None:
    async def body(world: World) -> None:
        await world.control.set_suspended(world.anna.tenant_id, True)
        assert (await world.refused()).code == "tenant_suspended"
        await world.admitted(world.bert)
        await world.control.set_suspended(world.anna.tenant_id, False)
        await world.admitted()

        spare = await world.control.create_key(world.anna.tenant_id)
        short = await world.control.create_key(
            world.anna.tenant_id, expires_at=datetime.now(UTC) - timedelta(seconds=1)
        )
        assert (await world.refused(api_key_id=short.id)).code == "key_expired"
        await world.admitted(api_key_id=spare.id)
        await world.control.revoke_key(world.anna.tenant_id, spare.id)
        assert (await world.refused(api_key_id=spare.id)).code == "key_revoked"
        assert (await world.refused(api_key_id=world.bert.api_key_id)).code == "key_revoked"
        gone = "tnt_" + "0" * 26
        assert (await world.refused(tenant_id=gone)).code == "tenant_unknown"

    in_world(database, body)


def test_stale_plans_and_prices_are_named(database: Database) -> None:
    async def body(world: World) -> None:
        before = world.anna
        await world.control.apply_plans({"standard": {"markup": "2"}})
        assert (await world.refused(before)).code == "stale_plan"
        world.anna = await world.directory.refresh(world.anna)
        assert world.anna.tenant.plan.version == before.tenant.plan.version + 1
        await world.admitted()

        known = await world.directory.prices()
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        await world.control.import_prices(synthetic_prices(Decimal(3), tomorrow))
        await world.admitted()
        await world.control.import_prices(synthetic_prices(Decimal(2)))
        assert (await world.refused()).code == "stale_price"
        assert (await world.directory.prices()).version == known.version
        world.prices = await world.directory.prices(reload=True)
        assert world.prices.version == known.version + 2
        assert (await world.directory.edition(known.version)).version == known.version
        await world.admitted()

    in_world(database, body)


def test_a_request_id_is_admitted_once(database: Database) -> None:
    async def body(world: World) -> None:
        reservation = world.reservation()
        verdicts = await asyncio.gather(*(world.admission.admit(reservation) for _ in range(3)))
        codes = [v.code for v in verdicts if isinstance(v, Refused)]
        assert codes == ["duplicate", "duplicate"]
        await world.settle(reservation, world.outcome(USED))
        again = await world.admission.admit(reservation)
        assert isinstance(again, Refused)
        assert again.code == "duplicate"
        # The id is of one tenant: another's with the same id is another request.
        await world.admitted(world.bert, request_id=reservation.request_id)

    in_world(database, body)


def test_remaining_says_what_is_left(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(
            requests_per_day=10,
            requests_per_minute=5,
            tokens_per_minute=10_000,
            monthly_budget="0.1315",
        )
        verdict = await world.admission.admit(world.reservation())
        assert isinstance(verdict, Admitted)
        assert dict(verdict.remaining) == {
            "requests_per_day": 9,
            "requests_per_minute": 4,
            "tokens_per_minute": 8_500,
            "budget": Decimal("0.1"),
        }

    in_world(database, body)


def test_a_batch_of_two_tenants_in_any_order(database: Database) -> None:
    """Each is judged after those before it, and what is written is each tenant's own."""

    async def body(world: World) -> None:
        one = Decimal("0.0315")
        await world.plan(monthly_budget=one * 3)
        for who, amount, hard in ((world.anna, one, True), (world.bert, one, False)):
            await world.control.set_budget(
                Budget(who.tenant_id, "user", "carol", "day", "charge", amount, hard)
            )
        asked = [
            world.reservation(world.bert, user_hash="carol"),
            world.reservation(plan_version=0),
            world.reservation(user_hash="carol"),
            world.reservation(world.bert, user_hash="carol"),
            world.reservation(user_hash="carol"),
            world.reservation(),
        ]
        said = await asyncio.gather(*(world.admission.admit(each) for each in asked))
        assert [getattr(each, "code", "admitted") for each in said] == [
            "admitted",
            "stale_plan",
            "admitted",
            "admitted",
            "budget",
            "admitted",
        ]
        for who in (world.anna, world.bert):
            assert await world.in_flight(who) == 2
            assert await world.budget("plan", who) == (0, one * 2)
        assert await world.budget("user:carol", world.anna) == (0, one)
        assert await world.budget("user:carol", world.bert) == (0, one * 2)
        rows = await world.fetch(
            "SELECT request_id, tenant_id, flags FROM open_request ORDER BY request_id"
        )
        assert [tuple(row) for row in rows] == sorted(
            (asked[at].request_id, who.tenant_id, flags)
            for at, who, flags in (
                (0, world.bert, []),
                (2, world.anna, []),
                (3, world.bert, ["over_soft_budget"]),
                (5, world.anna, []),
            )
        )

    in_world(database, body)


def test_a_batch_with_one_item_that_cannot_be_understood(database: Database) -> None:
    """The others of its batch are admitted all the same."""

    async def body(world: World) -> None:
        good = [world.reservation() for _ in range(5)]
        bad = dataclasses.replace(world.reservation(), first=intent(deadline_ms=2**40))
        said = await asyncio.gather(
            *(world.admission.admit(each) for each in [*good[:2], bad, *good[2:]]),
            return_exceptions=True,
        )
        assert [isinstance(each, Admitted) for each in said] == [
            True,
            True,
            False,
            True,
            True,
            True,
        ]
        assert isinstance(said[2], Exception)
        assert await world.in_flight() == 5

    in_world(database, body)
