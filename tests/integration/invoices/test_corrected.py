"""What is corrected of a period after its invoice, against what that invoice said."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import World, in_world, intent, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application import corrections
from tenantry.application.corrections import Corrected, correct_prices
from tenantry.application.invoicing import regenerate
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.errors import Conflict
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

LAST, BEFORE = months_ago(1), months_ago(2)
BEGAN = months_ago(2, day=1).date()


async def corrected(world: World, who: Principal, factor: str) -> Corrected:
    """What was used the month before last cost a multiple of its price."""
    right = await world.control.import_prices(synthetic_prices(Decimal(factor)))
    span = period_of(who, BEFORE)
    fixes = PostgresCorrections(world.databases.control)
    return await correct_prices(fixes, who.tenant_id, span.start, span.end, wrong=1, right=right)


async def is_made_again(house: House, who: Principal, done: Finalised) -> bool:
    stored = await house.billing.book.document(who.tenant_id, str(done.number))
    return (await regenerate(house.billing.invoices, who.tenant_id, stored)).same


def rate_of(rate: str, day: date) -> ExchangeRate:
    return ExchangeRate(day, "USD", "EUR", Decimal(rate), "ECB")


def lines_of(done: Finalised) -> list[tuple[Any, ...]]:
    return [(line["kind"], line["quantity"], line["amount"]) for line in done.document["lines"]]


def test_a_request_of_more_attempts_than_a_page_is_corrected_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is one request. Cuts fall between its calls, and between two attempts of one call."""
    monkeypatch.setattr(corrections, "PAGE", 2)

    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        keys = [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1), (2, 2), (3, 1)]
        last = dict(keys)  # the attempt of each call that the customer pays
        for who in (anna, bert):
            await house.used(who, Usage(out=1_000_000), BEFORE)
            made = await world.admitted(who)
            for call, attempt in keys[1:]:
                planned = intent(call, attempt)
                await world.admission.begin(who.tenant_id, made.request_id, planned)
            used = [
                world.outcome(Usage(out=1_000_000), call=c, attempt=a, charged=a == last[c])
                for c, a in keys
            ]
            await world.settle(made, *used)
            await house.move(made.request_id, BEFORE)
        done = await corrected(world, anna, "2")
        assert done == Corrected(8, Decimal(8 * 15), Decimal(5 * 45))
        assert await world.sums(anna) == (8 * 30, 5 * 90)
        assert await world.sums(bert) == (8 * 15, 5 * 45)
        assert (await corrected(world, anna, "2")).attempts == 0

    in_world(database, body)


def test_a_correction_has_the_rate_at_which_its_period_was_invoiced(database: Database) -> None:
    """A rate of before the period that is entered later is for what is not invoiced yet."""

    async def body(world: World) -> None:
        house = House.of(world)
        contracts = house.billing.contracts
        await contracts.add_rate(rate_of("0.9", BEGAN.replace(year=BEGAN.year - 1)))
        for who in (world.anna, world.bert):
            await house.contract(who, currency="EUR")
            await house.since(who, months_ago(2, day=1))
            await house.used(who, Usage(out=10_000_000), BEFORE)
        june = await house.finalise(world.anna, period_of(world.anna, BEFORE))
        assert june.document["total"] == "405.00"
        await contracts.add_rate(rate_of("0.5", BEGAN))
        for who in (world.anna, world.bert):
            await corrected(world, who, "0.5")
        july = await house.finalise(world.anna, period_of(world.anna, LAST))
        assert lines_of(july) == [
            ("adjustment", 10_000_000, "202.50"),
            ("adjustment", -10_000_000, "-405.00"),
        ]
        assert await is_made_again(house, world.anna, june)
        assert await is_made_again(house, world.anna, july)
        # Who has no invoice of that period yet is billed at the rate that is known now.
        other = await house.finalise(world.bert, period_of(world.bert, BEFORE))
        assert other.document["total"] == "112.50"
        assert await world.violations() == []

    in_world(database, body)


def test_no_more_is_covered_by_a_minimum_than_was_paid_of_it(database: Database) -> None:
    """Of two days under a contract that went on after all, once their invoice was final."""

    async def body(world: World) -> None:
        await world.plan(minimum="3000")
        house, anna, bert = House.of(world), world.anna, world.bert
        await house.plans_long_ago()
        for who in (anna, bert):
            await house.since(who, months_ago(2, day=1))
            await house.contract(who, ends_on=BEGAN.replace(day=3) if who is anna else None)
            await house.used(who, Usage(out=1_000_000), months_ago(2, day=2))
            first = await house.finalise(who, period_of(who, BEFORE))
        assert (first.document["true_up"], first.document["total"]) == ("2955.00", "3000.00")
        await house.contract(anna)
        covered = {}
        for who in (anna, bert):
            await corrected(world, who, "20")  # 45 become 900
            done = await house.finalise(who, period_of(who, LAST))
            covered[who.tenant.name] = Decimal(lines_of(done)[2][2])
            assert await is_made_again(house, who, done)
        paid = Fraction(3000 * 2, period_of(anna, BEFORE).hours // 24) - 45
        given_back = Decimal(round(-100 * paid)).scaleb(-2)
        assert covered == {"anna": given_back, "bert": Decimal("-855.00")}

    in_world(database, body)


def test_a_correction_of_tokens_that_steps_price_is_no_line_of_nothing(database: Database) -> None:
    """What list prices they had is not told; a period of nothing else has no invoice."""

    async def body(world: World) -> None:
        steps = [{"per_million": "10"}]
        await world.plan(overage={"mode": "graduated", "included": 0, "steps": steps})
        house, anna, bert = House.of(world), world.anna, world.bert
        await house.plans_long_ago()
        for who in (anna, bert):
            await house.contract(who)
            await house.since(who, months_ago(2, day=1))
            await house.used(who, Usage(out=1_000_000), BEFORE)
            await house.finalise(who, period_of(who, BEFORE))
        await house.used(anna, Usage(out=1_000_000), LAST)
        for who in (anna, bert):
            await corrected(world, who, "2")
        done = await house.finalise(anna, period_of(anna, LAST))
        assert lines_of(done) == [("overage", 1_000_000, "10.00")]
        assert await is_made_again(house, anna, done)
        assert (await house.finalise(bert, period_of(bert, LAST))).number is None
        assert await world.violations() == []

    in_world(database, body)


async def upgraded(house: House, at: str) -> None:
    """The instant of migration 0041, from which on earlier periods stay as they were closed."""
    await house.as_the_past(
        f"UPDATE tenantry.schema_migrations SET applied_at = {at} WHERE number = 41"
    )


def test_what_was_invoiced_before_the_upgrade_is_made_again_as_it_was(database: Database) -> None:
    """Also with a line of no tokens; what is invoiced since has none."""

    async def body(world: World) -> None:
        steps = [{"per_million": "10"}]
        await world.plan(overage={"mode": "graduated", "included": 0, "steps": steps})
        house, anna, bert = House.of(world), world.anna, world.bert
        await house.plans_long_ago()
        for who in (anna, bert):
            await house.contract(who)
            await house.since(who, months_ago(2, day=1))
            await house.used(who, Usage(out=1_000_000), BEFORE)
            await house.finalise(who, period_of(who, BEFORE))
            await house.used(who, Usage(out=1_000_000), LAST)
        for who in (anna, bert):
            await corrected(world, who, "2")
        await upgraded(house, "'infinity'")
        old = await house.finalise(anna, period_of(anna, LAST))
        await upgraded(house, "clock_timestamp()")
        new = await house.finalise(bert, period_of(bert, LAST))
        assert lines_of(new) == [("overage", 1_000_000, "10.00")]
        assert lines_of(old) == [*lines_of(new), ("adjustment", 0, "0.00")]
        assert await is_made_again(house, anna, old)
        assert await is_made_again(house, bert, new)

    in_world(database, body)


def test_of_before_the_upgrade_a_rate_that_was_entered_later_stays(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        contracts = house.billing.contracts
        await contracts.add_rate(rate_of("0.9", BEGAN.replace(year=BEGAN.year - 1)))
        await house.plans_long_ago()
        await house.contract(anna, currency="EUR")
        await house.since(anna, months_ago(2, day=1))
        await house.used(anna, Usage(out=10_000_000), BEFORE)
        await house.finalise(anna, period_of(anna, BEFORE))
        await contracts.add_rate(rate_of("0.5", BEGAN))
        await corrected(world, anna, "0.5")
        await upgraded(house, "'infinity'")
        old = await house.finalise(anna, period_of(anna, LAST))
        assert lines_of(old) == [
            ("adjustment", 10_000_000, "112.50"),
            ("adjustment", -10_000_000, "-225.00"),
        ]
        await upgraded(house, "clock_timestamp()")
        assert await is_made_again(house, anna, old)

    in_world(database, body)


def test_usage_of_a_month_of_nothing_in_a_currency_that_was_agreed_later(
    database: Database,
) -> None:
    """Another customer's rate of within that month does not stand in the way of its own."""

    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        contracts = house.billing.contracts
        await house.plans_long_ago()
        await house.since(anna, months_ago(2, day=1))
        await contracts.add_rate(rate_of("0.9", BEGAN.replace(day=15)))
        await house.contract(bert, currency="EUR")
        assert (await house.finalise(anna, period_of(anna, BEFORE))).number is None
        await house.contract(anna, currency="EUR")
        await house.used(anna, Usage(out=1_000_000), BEFORE, posted_at=datetime.now(UTC))
        await house.used(anna, Usage(out=1_000_000), LAST)
        with pytest.raises(Conflict, match=f"No rate from USD to EUR is known on {BEGAN}"):
            await house.finalise(anna, period_of(anna, LAST))
        await contracts.add_rate(rate_of("0.8", BEGAN))
        done = await house.finalise(anna, period_of(anna, LAST))
        assert lines_of(done) == [
            ("usage", 1_000_000, "40.50"),
            ("adjustment", 1_000_000, "36.00"),
        ]
        assert await is_made_again(house, anna, done)

    in_world(database, body)
