"""A tax that changes on a day is entered before it: each period has the one of its last day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from tests.support.billing import House, months_ago, period_of
from tests.support.corrected_invoices import BEFORE, LAST, NOW, in_zones, is_made_again, rates
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.application.agreements import amend
from tenantry.application.invoicing import void_invoice
from tenantry.domain.errors import BadRequest
from tenantry.domain.period import Span
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

USED = Usage(out=1_000_000)  # 45.00
OLD, NEW = "0.19", "0.21"


def tax_of(done: Finalised) -> tuple[str, str]:
    return done.document["tax"]["rate"], done.document["tax"]["amount"]


def last_day(who: Principal, period: Span) -> date:
    end = period.end.astimezone(ZoneInfo(who.tenant.zone)).date()
    return end - timedelta(days=1)


async def announced(house: House, who: Principal, day: date, currency: str = "USD") -> None:
    """19 %, then 21 % from a day on; and then another address, which changes no tax."""
    contracts = house.billing.contracts
    await house.contract(who, tax_rate=Decimal(OLD), tax_label="VAT", currency=currency)
    told = {"tax_rate": NEW, "tax_starts_on": day.isoformat()}
    version = await amend(contracts, who.tenant, told)
    assert version.tax_starts_on == day
    version = await amend(contracts, who.tenant, {"address": ["2 New Street"]})
    assert (version.tax_rate, version.tax_starts_on) == (Decimal(NEW), day)
    await house.since(who, months_ago(2, day=2, now=NOW))
    for at in (BEFORE, LAST):
        await house.used(who, USED, at)


@pytest.mark.parametrize("days", [0, 1])
def test_a_rate_entered_ahead_leaves_the_periods_before_it(database: Database, days: int) -> None:
    """It starts on the last day of a period, or on the day after; in New York and in Zurich."""

    async def body(world: World) -> None:
        house = House.of(world)
        await house.plans_long_ago()
        await rates(house)
        for who in await in_zones(house):
            currency = "USD" if who.tenant.zone == "America/New_York" else "EUR"
            period = period_of(who, BEFORE)
            await announced(house, who, last_day(who, period) + timedelta(days=days), currency)
            before = await house.finalise(who, period)
            last = await house.finalise(who, period_of(who, LAST))
            made = [done.document["tax"]["rate"] for done in (before, last)]
            assert made == ([NEW, NEW] if days == 0 else [OLD, NEW])
            assert last.document["customer"]["address"] == ["2 New Street"]
            assert await is_made_again(house, who, before)
            assert await is_made_again(house, who, last)
        assert await world.violations() == []

    in_world(database, body)


def test_what_is_issued_anew_and_what_is_late_keep_the_rate_of_their_period(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        await house.plans_long_ago()
        for who in (world.anna, world.bert):
            period = period_of(who, BEFORE)
            await announced(house, who, last_day(who, period) + timedelta(days=1))
            first = await house.finalise(who, period)
            await void_invoice(house.billing.book, who.tenant_id, str(first.number), "a name")
            again = await house.finalise(who, period)
            assert tax_of(again) == (OLD, "8.55")
            await house.used(who, USED, BEFORE, posted_at=await house.billing.book.now())
            last = await house.finalise(who, period_of(who, LAST))
            parts = last.document["tax"]["parts"]
            assert [(part["rate"], part["net"]) for part in parts] == [
                (NEW, "45.00"),
                (OLD, "45.00"),
            ]
            assert await is_made_again(house, who, last)

    in_world(database, body)


def test_what_is_entered_last_holds_from_its_own_day_on(database: Database) -> None:
    """A rate without a day holds for all periods, and takes back what was entered ahead."""

    async def body(world: World) -> None:
        house = House.of(world)
        await house.plans_long_ago()
        for who in (world.anna, world.bert):
            await announced(house, who, last_day(who, period_of(who, BEFORE)) + timedelta(days=1))
            taken_back = {"tax_rate": "0.2", "tax_starts_on": None}
            if who is world.bert:
                await amend(house.billing.contracts, who.tenant, taken_back)
            made = [await house.finalise(who, period_of(who, at)) for at in (BEFORE, LAST)]
            expected = [OLD, NEW] if who is world.anna else ["0.2", "0.2"]
            assert [done.document["tax"]["rate"] for done in made] == expected
        refused = {
            "tax_starts_on must be a civil day": {"tax_starts_on": "2027-02-30"},
            "name tax_starts_on too": {"tax_rate": "0.25"},
            "name tax_starts_on too, ": {"tax_label": "IVA"},
        }
        for words, changes in refused.items():
            with pytest.raises(BadRequest, match=words):
                await amend(house.billing.contracts, world.anna.tenant, changes)
        free = {"tax_rate": "0.25", "tax_label": "IVA"}  # his has no day any more
        assert (await amend(house.billing.contracts, world.bert.tenant, free)).version == 5

    in_world(database, body)


def test_a_first_rate_that_starts_later_taxes_nothing_before_it(database: Database) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        await house.plans_long_ago()
        for who, day in ((world.anna, LAST.date()), (world.bert, None)):
            await house.contract(who, tax_rate=Decimal(OLD), tax_label="VAT", tax_starts_on=day)
            await house.since(who, months_ago(2, day=2, now=NOW))
            await house.used(who, USED, BEFORE)
            before = await house.finalise(who, period_of(who, BEFORE))
            assert tax_of(before) == (("0", "0.00") if day else (OLD, "8.55"))

    in_world(database, body)


def moved_on(day: date, days: int) -> dict[str, str]:
    return {"tax_starts_on": (day + timedelta(days=days)).isoformat()}


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_day_that_is_put_off_is_taken_back(database: Database, forgotten: bool) -> None:
    """It was entered too early, or without a day at all; his is put off beyond both periods."""

    async def body(world: World) -> None:
        house = House.of(world)
        contracts = house.billing.contracts
        await house.plans_long_ago()
        for who, days, expected in ((world.anna, 1, [OLD, NEW]), (world.bert, 90, [OLD, OLD])):
            day = last_day(who, period_of(who, BEFORE))
            await announced(house, who, day - timedelta(days=20))
            if forgotten:
                await amend(contracts, who.tenant, {"tax_starts_on": None})
            await amend(contracts, who.tenant, moved_on(day, days))
            last, *_, first = await contracts.contracts(who.tenant_id)
            assert first["tax_schedule"] == [step(None, OLD)]
            assert last["tax_schedule"] == [step(None, OLD), step(day + timedelta(days=days), NEW)]
            made = [await house.finalise(who, period_of(who, at)) for at in (BEFORE, LAST)]
            assert [done.document["tax"]["rate"] for done in made] == expected
            assert all([await is_made_again(house, who, done) for done in made])
        assert await world.violations() == []

    in_world(database, body)


def test_two_changes_that_are_announced_both_hold(database: Database) -> None:
    """A rate that is lowered for a while; and what was moved leaves what it had covered."""

    async def body(world: World) -> None:
        house = House.of(world)
        contracts = house.billing.contracts
        await house.plans_long_ago()
        for who in (world.anna, world.bert):
            lowered = last_day(who, period_of(who, BEFORE))
            raised = last_day(who, period_of(who, LAST))
            await announced(house, who, lowered)
            back = {"tax_rate": OLD, "tax_starts_on": raised.isoformat()}
            await amend(contracts, who.tenant, back)
            expected = [NEW, OLD]
            if who is world.bert:  # ahead of all, which covers hers; then after the first
                await amend(contracts, who.tenant, moved_on(lowered, -80))
                await amend(contracts, who.tenant, moved_on(raised, 1))
                expected = [NEW, NEW]
            made = [await house.finalise(who, period_of(who, at)) for at in (BEFORE, LAST)]
            assert [done.document["tax"]["rate"] for done in made] == expected
            [now] = await contracts.contracts(who.tenant_id, 1)
            assert [each["rate"] for each in now["tax_schedule"]] == [OLD, NEW, OLD]

    in_world(database, body)


def test_what_was_entered_before_days_moved_holds_as_it_did(database: Database) -> None:
    """Of what is invoiced already, of what is late of it, and of what is invoiced since."""

    async def body(world: World) -> None:
        house = House.of(world)
        await house.plans_long_ago()
        moved = "UPDATE tenantry.schema_migrations SET applied_at = %s WHERE name = 'moved_taxes'"
        for who in (world.anna, world.bert):
            day = last_day(who, period_of(who, BEFORE))
            await announced(house, who, day - timedelta(days=20))
            await amend(house.billing.contracts, who.tenant, moved_on(day, 1))
        await house.as_the_past(moved % "'infinity'")
        for who in (world.anna, world.bert):
            first = await house.finalise(who, period_of(who, BEFORE))
            assert tax_of(first) == (NEW, "9.45")
            await house.as_the_past(moved % "clock_timestamp()")
            assert await is_made_again(house, who, first)
            await house.used(who, USED, BEFORE, posted_at=await house.billing.book.now())
            if who is world.bert:
                await void_invoice(house.billing.book, who.tenant_id, str(first.number), "a rate")
                again = await house.finalise(who, period_of(who, BEFORE))
                assert tax_of(again) == (NEW, "18.90")
            last = await house.finalise(who, period_of(who, LAST))
            nets = {"anna": ("90.00", "18.90"), "bert": ("45.00", "9.45")}[who.tenant.name]
            assert (last.document["subtotal"], last.document["tax"]["amount"]) == nets
            assert await is_made_again(house, who, first)
            assert await is_made_again(house, who, last)
            await house.as_the_past(moved % "'infinity'")

    in_world(database, body)


def step(day: date | None, rate: str) -> dict[str, str | None]:
    return {"starts_on": None if day is None else day.isoformat(), "rate": rate, "label": "VAT"}
