"""Contracts that end: what is given back, what still comes, and when they may end."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.application.invoicing import regenerate
from tenantry.domain.errors import Conflict
from tenantry.domain.usage import Usage

LAST = months_ago(1)


def test_a_contract_that_ends_gives_back_its_fee_and_is_closed_from_then_on(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        await world.plan(monthly_fee="30")
        house, anna = House.of(world), world.anna
        await house.plans_long_ago()
        await house.since(anna, months_ago(3, day=1))
        ended = months_ago(3, day=11).date()
        await house.contract(anna, ends_on=ended)
        await world.plan(monthly_fee="60")  # later, for others
        tally = await house.run()
        assert (tally.final, tally.nothing, tally.trouble) == (1, 2, 0)
        [number] = await house.numbers()
        stored = await house.billing.book.document(anna.tenant_id, number)
        made = await regenerate(house.billing.book, anna.tenant_id, stored)
        assert made.same
        days = period_of(anna, months_ago(3))
        count = (days.end - days.start).days
        kept = (Decimal(300) / count).quantize(Decimal("0.01"))
        assert f'"total":"{kept}"'.encode() in stored.document
        # What is used after its end is not given away: it is a trouble that somebody sees.
        await house.as_the_past(
            f"UPDATE tenantry.billing_account SET period_start = '{period_of(anna, LAST).start}',"
            f" period_end = '{period_of(anna, LAST).end}' WHERE tenant_id = '{anna.tenant_id}'"
        )
        await house.used(world.anna, Usage(out=1), LAST)
        with pytest.raises(Conflict, match="No terms are in force"):
            await house.finalise(anna, period_of(anna, LAST))

    in_world(database, body)


def test_what_settles_late_after_a_contracts_end_is_invoiced_alone(database: Database) -> None:
    """Once, and without fee or minimum of a period that has no contract."""

    async def body(world: World) -> None:
        await world.plan(monthly_fee="30", minimum="50")
        house, anna = House.of(world), world.anna
        await house.plans_long_ago()
        for who in (anna, world.bert):
            await house.since(who, months_ago(3, day=1))
            await house.contract(who, ends_on=months_ago(2, day=1).date())
        first = await house.finalise(anna, period_of(anna, months_ago(3)))
        assert first.document["total"] == "50.00"
        late = Usage(uncached_in=2_000_000, out=1_000_000)  # 63 by list, of which 20 are paid
        await house.used(anna, late, months_ago(3), posted_at=datetime.now(UTC))
        tally = await house.run()
        assert (tally.final, tally.trouble) == (2, 0)
        newest, _ = await house.billing.book.documents(anna.tenant_id)
        stored = await house.billing.book.document(anna.tenant_id, newest["number"])
        shown = json.loads(stored.document)
        assert [(line["kind"], line["amount"]) for line in shown["lines"]] == [
            ("adjustment", "45.00"),
            ("adjustment", "18.00"),
            ("adjustment", "-20.00"),
        ]
        assert (shown["true_up"], shown["total"]) == ("0.00", "43.00")
        assert (await regenerate(house.billing.book, anna.tenant_id, stored)).same
        assert (await house.run()).final == 0

    in_world(database, body)


def test_a_contract_ends_on_no_civil_day_that_is_invoiced(database: Database) -> None:
    """In Kolkata a month ends before it does in UTC."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, Usage(out=1_000), LAST)
        done = await house.finalise(anna, period_of(anna, LAST))
        last = date.fromisoformat(done.document["period"]["label"].partition(" to ")[2])
        with pytest.raises(Conflict, match=f"invoiced up to {last + timedelta(days=1)}"):
            await house.contract(anna, ends_on=last)
        await house.contract(anna, ends_on=last + timedelta(days=1))
        await house.contract(world.bert, ends_on=last)

    in_world(database, body, zone="Asia/Kolkata")


def test_a_contract_that_ends_before_it_begins_says_so(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna, ends_on=date(2020, 1, 1))
        await house.contract(world.bert)
        for who in (anna, world.bert):
            await house.since(who, months_ago(1, day=1))
            await house.used(who, Usage(out=1_000), LAST)
        with pytest.raises(Conflict, match="ends on 2020-01-01, before its first terms start"):
            await house.finalise(anna, period_of(anna, LAST))
        assert (await house.finalise(world.bert, period_of(world.bert, LAST))).number

    in_world(database, body)
