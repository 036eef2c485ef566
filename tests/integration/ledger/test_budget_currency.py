"""Limits in the contract's currency: decided exactly, at the rate of the invoice."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import asyncpg
import pytest
from tests.support.billing import House
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.application.budget_alerts import alert_budgets
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import TenantId
from tenantry.domain.usage import Usage
from tenantry.ports.admission import RefusingBudget
from tenantry.ports.control import Budget

USED = Usage(uncached_in=1_000, out=500)  # .0315 USD of list charge
LONG_AGO = date(2020, 1, 1)


def rate_of(currency: str, rate: str, day: date = LONG_AGO) -> ExchangeRate:
    return ExchangeRate(day, "USD", currency, Decimal(rate), "central bank")


def budget_of(tenant_id: TenantId, amount: str, period: str = "month") -> Budget:
    return Budget(tenant_id, "tenant", "", period, "charge", Decimal(amount), True)  # type: ignore[arg-type]


async def shown(world: World, tenant_id: TenantId, scope: str = "tenant") -> dict[str, object]:
    rows = await world.control.list_budgets(tenant_id)
    return next(dict(row) for row in rows if row["scope"] == scope)


@pytest.mark.parametrize(
    ("currency", "rate", "limit", "admitted"),
    [
        # The worst case is .0315 USD, and so is each one's use.
        ("JPY", "150", "14.175", 3),  # exactly three of 4.725 yen
        ("JPY", "150", "14.174999999999", 2),
        ("KWD", "0.3", "0.0284", 3),  # three of .00945
        ("EUR", "0.9213", "0.087062849999", 2),  # three would be .08706285
        ("EUR", "0.9213", "0.08706285", 3),
    ],
)
def test_a_limit_holds_in_its_own_currency(
    database: Database, currency: str, rate: str, limit: str, admitted: int
) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.billing.contracts.add_rate(rate_of(currency, rate))
        await house.contract(anna, currency=currency)
        await world.control.set_budget(budget_of(anna.tenant_id, limit))
        await world.control.set_budget(budget_of(world.bert.tenant_id, "0.0315"))
        for _ in range(admitted):
            await world.settle(await world.admitted(), world.outcome(USED))
        refused = await world.refused()
        assert (refused.code, refused.limit) == ("budget", "tenant month charge")
        spent = Decimal("0.0315") * admitted * Decimal(rate)
        row = await shown(world, anna.tenant_id)
        assert (row["currency"], row["settled"]) == (currency, spent)
        assert row["remaining"] == Decimal(limit) - spent
        told = RefusingBudget(Decimal(limit), Decimal(limit) - spent, currency, Decimal(rate))
        assert refused.budget == told
        await world.admitted(world.bert)  # in USD, and of nobody else's currency
        assert (await shown(world, world.bert.tenant_id))["currency"] == "USD"

    in_world(database, body)


def test_the_plans_limit_and_guards_in_cost(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.billing.contracts.add_rate(rate_of("JPY", "150"))
        await house.contract(anna, currency="JPY")
        await world.plan(monthly_budget="9.45")  # two requests in yen, 300 in USD
        guard = Budget(anna.tenant_id, "tenant", "", "month", "cost", Decimal("0.0315"), True)
        await world.control.set_budget(guard)  # three requests, in USD whatever the contract's
        held = [await world.admitted() for _ in range(2)]
        by_plan = await world.refused()
        assert by_plan.limit == "plan month charge"
        assert by_plan.budget == RefusingBudget(Decimal("9.45"), Decimal(0), "JPY", Decimal(150)), (
            "what is under way is not left"
        )
        await world.admitted(world.bert)
        await world.plan(monthly_budget="100")
        held.append(await world.admitted())
        by_guard = await world.refused()
        assert by_guard.limit == "tenant month cost"
        assert by_guard.budget == RefusingBudget(Decimal("0.0315"), Decimal(0), "USD", Decimal(1))
        for each in held:
            await world.settle(each, world.outcome(USED))
        rows = {(row["scope"], row["basis"]): row for row in
                await world.control.list_budgets(anna.tenant_id)}  # fmt: skip
        assert rows["plan", "charge"]["settled"] == Decimal("14.175")
        assert rows["tenant", "cost"]["settled"] == Decimal("0.0315")
        assert rows["tenant", "cost"]["currency"] == "USD"

    in_world(database, body)


def test_a_rate_that_is_entered_late_holds_as_for_the_invoice(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        rates = house.billing.contracts
        with pytest.raises(BadRequest, match="No rate from USD to EUR"):
            await house.contract(anna, currency="EUR")
        today = datetime.now(UTC).date()
        await rates.add_rate(rate_of("EUR", "4", today + timedelta(days=90)))
        await house.contract(anna, currency="EUR")  # the first that is known, rather than none
        await world.control.set_budget(budget_of(anna.tenant_id, "0.063"))
        assert (await world.refused()).code == "budget"
        await rates.add_rate(rate_of("EUR", "2"))
        first = await world.admitted()
        assert (await world.refused()).code == "budget"
        await rates.add_rate(rate_of("EUR", "1", today.replace(day=1)))  # the period's own
        await world.admitted()
        assert (await world.refused()).code == "budget"
        await rates.add_rate(rate_of("EUR", "100", today + timedelta(days=1)))  # of a later period
        await world.settle(first, world.outcome(USED))
        row = await shown(world, anna.tenant_id)
        assert (row["settled"], row["reserved"]) == (Decimal("0.0315"), Decimal("0.0315"))

    in_world(database, body)


def test_shares_are_told_in_the_limits_currency(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.billing.contracts.add_rate(rate_of("JPY", "150"))
        await house.contract(anna, currency="JPY")
        await world.control.set_budget(budget_of(anna.tenant_id, "9"))
        await world.settle(await world.admitted(), world.outcome(USED))
        alerts = PostgresAlerts(world.databases.control, SystemClock())
        assert await alert_budgets(alerts, all_of_them=True) == 1
        told = await alerts.alerts(tenant_id=anna.tenant_id)
        assert [(a.subject, a.detail["threshold_percent"]) for a in told] == [("tenant", 50)]
        assert (told[0].observed, told[0].expected) == (Decimal("4.725"), Decimal(9))
        assert (told[0].unit, told[0].currency) == ("JPY", "JPY")

    in_world(database, body)


def test_no_limit_in_usd_is_more_than_it_is(database: Database) -> None:
    draw = random.Random(27)
    pairs = [
        (
            Decimal(draw.randrange(10**15)).scaleb(-12),
            Decimal(draw.randrange(1, 10**13)).scaleb(-12),
        )
        for _ in range(2_000)
    ]

    async def body(world: World) -> None:
        connection = await asyncpg.connect(world.database.dsn("app"))
        try:
            rows = await connection.fetch(
                "SELECT a, r, tenantry.limit_in_usd(a, r) AS usd"
                " FROM unnest($1::numeric[], $2::numeric[]) AS x(a, r)",
                *zip(*pairs, strict=True),
            )
        finally:
            await connection.close()
        for amount, rate, usd in rows:
            over = Fraction(amount) / Fraction(rate) - Fraction(usd)
            assert 0 <= over < Fraction(1, 10**15), (amount, rate, usd)

    in_world(database, body)
