"""Lists that grow are read in pages: all rows, each once, in one order, of one tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from tests.support.billing import House
from tests.support.ledger import World, in_world, plan_table
from tests.support.postgres import Database
from tests.support.watched import alerts_in, flat, hours_in, past

from tenantry.application.pacing import outlooks
from tenantry.domain.budget import BudgetKey
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.placement import Placement
from tenantry.domain.usage import Usage
from tenantry.ports.control import Budget

T = TypeVar("T")
K = TypeVar("K")
ROWS = 5  # more than two pages of two


async def by_pages(
    page: Callable[[K | None, int], Awaitable[Sequence[T]]], place: Callable[[T], K]
) -> list[T]:
    """The list by pages of two, which is the list at once."""
    found: list[T] = []
    after: K | None = None
    while rows := await page(after, 2):
        assert len(rows) <= 2
        found += rows
        after = place(rows[-1])
    assert found == list(await page(None, 1_000))
    return found


def key_of(row: Any) -> BudgetKey:
    scope, which = row["scope"], row["scope_id"]
    return BudgetKey(f"{scope}:{which}" if which else scope, row["period"], row["basis"])


def test_keys_and_budgets(database: Database) -> None:
    async def body(world: World) -> None:
        control, anna, bert = world.control, world.anna.tenant_id, world.bert.tenant_id
        for _ in range(ROWS):
            await control.create_key(anna)
        keys = await by_pages(
            lambda after, limit: control.list_keys(anna, after=after, limit=limit),
            lambda row: str(row.id),
        )
        assert len({row.id for row in keys}) == ROWS + 1
        assert [row.id for row in await control.list_keys(bert)] == [world.bert.api_key_id]
        for run in range(ROWS):
            for period, basis in (("day", "charge"), ("day", "cost"), ("total", "charge")):
                budget = Budget(anna, "run", f"r{run}", period, basis, Decimal(1))  # type: ignore[arg-type]
                await control.set_budget(budget)
        budgets = await by_pages(
            lambda after, limit: control.list_budgets(anna, after=after, limit=limit), key_of
        )
        assert len({key_of(row) for row in budgets}) == 3 * ROWS
        assert await control.list_budgets(bert) == []

    in_world(database, body)


def test_a_budget_has_the_same_outlook_on_any_page(database: Database) -> None:
    """What it has of its tenant's use is told by the tenant's own budgets, on the first page."""

    async def body(world: World) -> None:
        anna, bert = world.anna.tenant_id, world.bert.tenant_id
        for period in ("day", "month", "total"):
            await world.control.set_budget(
                Budget(anna, "tenant", anna, period, "charge", Decimal(500), False)  # type: ignore[arg-type]
            )
        for who in (anna, bert):
            await world.control.set_budget(
                Budget(who, "user", "0" * 32, "month", "charge", Decimal(500), False)
            )
        for run in range(ROWS):
            await world.control.set_budget(
                Budget(anna, "run", f"r{run}", "month", "charge", Decimal(500), False)
            )
        await past(world, world.anna, flat())
        for run in range(3):
            reservation = await world.admitted(run_id=f"r{run}")
            await world.settle(reservation, world.outcome(Usage(uncached_in=60_000)))
        book, hours = alerts_in(world), hours_in(world)
        at = datetime.now(UTC)

        async def still() -> datetime:
            return at

        book.now = still  # type: ignore[method-assign]
        found = await by_pages(
            lambda after, limit: outlooks(book, hours, anna, after=after, limit=limit),
            lambda outlook: outlook.key,
        )
        subjects = [outlook.use.subject for outlook in found]
        assert subjects[:4] == ["plan", "tenant", "tenant", "tenant"]
        assert set(subjects[4:]) >= {f"run:r{run}" for run in range(3)}
        forecasts = [outlook.forecast for outlook in found if outlook.use.subject == "run:r0"]
        assert all(forecasts)
        theirs = await outlooks(book, hours, bert)
        assert {outlook.use.tenant_id for outlook in theirs} == {bert}

    in_world(database, body)


def test_what_is_agreed(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna.tenant_id, world.bert.tenant_id
        contracts = house.billing.contracts
        for days in range(ROWS):
            await house.contract(world.anna, payment_days=days)
            await contracts.change_plan(anna, "standard", datetime(2126, 1, 1 + days, tzinfo=UTC))
            await contracts.grant_credit(anna, Decimal(days + 1), "")
        await house.contract(world.bert, payment_days=9)
        await contracts.grant_credit(bert, Decimal(70), "")
        # Entries of one instant: an order by the instant alone would lose one between two pages.
        await house.as_the_past(
            f"UPDATE tenantry.billing_entry SET posted_at = '2026-01-01' WHERE tenant_id = '{anna}'"
        )
        versions = await by_pages(
            lambda after, limit: contracts.contracts(anna, limit, after=after),
            lambda row: int(row["version"]),
        )
        assert [row["version"] for row in versions] == [5, 4, 3, 2, 1]
        changes = await by_pages(
            lambda after, limit: contracts.plan_changes(anna, limit, after=after),
            lambda row: (row["effective_at"], row["entered_at"]),
        )
        assert len(changes) == ROWS + 1
        entries = await by_pages(
            lambda after, limit: contracts.credits(anna, limit, after=after),
            lambda row: (row["posted_at"], row["posting_id"], int(row["line"])),
        )
        assert sorted(row["amount"] for row in entries) == [1, 2, 3, 4, 5]
        assert await contracts.credit_left(anna) == {"USD": 15}
        assert await contracts.credit_left(bert) == {"USD": 70}
        assert len(await contracts.credits(bert)) == 1

    in_world(database, body)


def test_what_is_left_of_a_credit_is_of_all_its_entries(database: Database) -> None:
    """The sum of a page was told as what is left."""

    async def body(world: World) -> None:
        contracts, anna = House.of(world).billing.contracts, world.anna.tenant_id
        for _ in range(131):
            left = await contracts.grant_credit(anna, Decimal(1), "")
        assert len(await contracts.credits(anna)) == 100
        assert await contracts.credit_left(anna) == {"USD": left} == {"USD": 131}
        assert await contracts.credit_left(world.bert.tenant_id) == {}

    in_world(database, body)


def test_runs_rates_and_mutes(database: Database) -> None:
    async def body(world: World) -> None:
        house, book = House.of(world), alerts_in(world)
        contracts, who = house.billing.contracts, (world.anna.tenant_id, world.bert.tenant_id)
        for month in range(1, ROWS + 1):
            for tenant_id in who:
                await house.as_the_past(
                    "INSERT INTO tenantry.invoice_run (tenant_id, period_start, period_end,"
                    f" outcome, detail) VALUES ('{tenant_id}', '2020-0{month}-01',"
                    f" '2020-0{month + 1}-01', 'trouble', 'no rate')"
                )
            for quote in ("EUR", "JPY"):
                rate = ExchangeRate(date(2020, month, 1), "USD", quote, Decimal(month), "bank")
                await contracts.add_rate(rate)
        runs = await by_pages(
            lambda after, limit: house.billing.book.runs(None, "trouble", limit, after=after),
            lambda row: (row["period_start"], str(row["tenant_id"])),
        )
        assert len({(row["period_start"], row["tenant_id"]) for row in runs}) == 2 * ROWS
        assert len(await house.billing.book.runs(who[0], "trouble", 1_000)) == ROWS
        rates = await by_pages(
            lambda after, limit: contracts.rates(limit, after=after),
            lambda rate: (rate.quote, rate.base, rate.day),
        )
        assert [rate.rate for rate in rates] == [5, 4, 3, 2, 1] * 2
        start = datetime(2126, 1, 1, tzinfo=UTC)
        for _ in range(ROWS):  # of one instant
            await book.mute(who[0], start, start + timedelta(hours=1), "launch")
        other = await book.mute(who[1], start, start + timedelta(hours=1), "launch")
        mutes = await by_pages(
            lambda after, limit: book.mutes(who[0], after=after, limit=limit),
            lambda mute: (mute.starts_at, mute.id),
        )
        assert len({mute.id for mute in mutes}) == ROWS
        assert await book.mutes(who[1]) == [other]

    in_world(database, body)


def test_plans_and_placements(database: Database) -> None:
    async def body(world: World) -> None:
        control = world.control
        await control.apply_plans({f"plan-{n}": plan_table() for n in range(ROWS)})
        for n in range(ROWS):
            silo = Placement(f"silo-{n}", "silo", f"{n + 1}" * 12, "us-east-1",
                             frozenset({"us-east-1"}))  # fmt: skip
            await control.apply_placement(silo)
        plans = await by_pages(
            lambda after, limit: control.list_plans(after=after, limit=limit),
            lambda plan: plan.name,
        )
        assert plans == await control.list_plans()
        placements = await by_pages(
            lambda after, limit: control.list_placements(after=after, limit=limit),
            lambda placement: placement.id,
        )
        assert placements == await control.list_placements()
        assert (len(plans), len(placements)) == (ROWS + 1, ROWS + 1)

    in_world(database, body)
