"""Voids where what a token costs goes by how many came before it: newest first, and made again the
sums are what they were."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from tests.support.billing import ISSUER, House, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database
from tests.support.voids import (
    FIRST,
    GRADUATED,
    IN_ANY_ORDER,
    IN_ORDER,
    SECOND,
    THIRD,
    begun,
    charged,
    late,
    void,
)

from tenantry.application.invoicing import composer
from tenantry.domain.errors import Conflict
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised


async def three(house: House, who: Principal) -> list[Finalised]:
    """4.0 million tokens of the first month in time, 1.5 and 1.4 million on the next invoices."""
    await house.used(who, Usage(out=4_000_000), FIRST)
    made = [await house.finalise(who, period_of(who, FIRST))]
    for tokens, month in ((1_500_000, SECOND), (1_400_000, THIRD)):
        await late(house, who, tokens)
        made.append(await house.finalise(who, period_of(who, month)))
    return made


@pytest.mark.parametrize("plan", IN_ORDER)
def test_late_usage_is_not_charged_twice_after_a_void(
    database: Database, plan: Mapping[str, Any]
) -> None:
    async def body(world: World) -> None:
        house = await begun(world, plan)
        for who, voided in ((world.anna, (SECOND, THIRD)), (world.bert, (FIRST, SECOND, THIRD))):
            first, second, third = await three(house, who)
            before = await charged(house, who)
            with pytest.raises(Conflict, match=f"^Void {third.number} first"):
                await void(house, who, second)
            with pytest.raises(Conflict, match=f"^Void {third.number}, {second.number} first"):
                await void(house, who, first)
            assert await charged(house, who) == before
            for done in (third, second, first)[: len(voided)]:
                await void(house, who, done)
            for month in voided:
                await house.finalise(who, period_of(who, month))
            assert await charged(house, who) == before
        assert await world.violations() == []

    in_world(database, body)


@pytest.mark.parametrize(
    ("plan", "beyond"), [(IN_ORDER[0], "14.00"), (IN_ORDER[1], "32.50"), (IN_ORDER[2], "292.50")]
)
def test_a_period_made_again_is_priced_with_what_came_late_of_it(
    database: Database, plan: Mapping[str, Any], beyond: str
) -> None:
    """6.5 million tokens beside the fees, or what they lack of the minimum."""

    async def body(world: World) -> None:
        house, anna = await begun(world, plan), world.anna
        await house.used(anna, Usage(out=4_000_000), FIRST)
        first = await house.finalise(anna, period_of(anna, FIRST))
        await late(house, anna, 1_500_000)
        second = await house.finalise(anna, period_of(anna, SECOND))
        await late(house, anna, 1_000_000)
        with pytest.raises(Conflict, match=f"^Void {second.number} first"):
            await void(house, anna, first)
        await void(house, anna, second)
        await void(house, anna, first)
        again = await house.finalise(anna, period_of(anna, FIRST))
        least = Decimal(plan.get("minimum", 10))
        assert Decimal(again.document["total"]) == Decimal(beyond) + 10
        await house.finalise(anna, period_of(anna, SECOND))
        assert await charged(house, anna) == Decimal(beyond) + 10 + least
        assert await house.entries(world.bert.tenant_id) == {}

    in_world(database, body)


@pytest.mark.parametrize("plan", IN_ANY_ORDER)
def test_where_each_token_costs_the_same_an_invoice_is_voided_at_any_time(
    database: Database, plan: Mapping[str, Any]
) -> None:
    async def body(world: World) -> None:
        house = await begun(world, plan)
        for who, n in ((world.anna, 0), (world.bert, 1)):
            made = await three(house, who)
            before = await charged(house, who)
            await void(house, who, made[n])
            await house.finalise(who, period_of(who, (FIRST, SECOND)[n]))
            assert await charged(house, who) == before
        # What is agreed from now on says nothing of those months.
        await world.plan(**IN_ORDER[0])
        await void(house, world.bert, made[0])

    in_world(database, body)


def test_an_invoice_is_not_voided_under_one_that_is_made_meanwhile(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = await begun(world, IN_ORDER[0]), world.anna
        await house.used(anna, Usage(out=4_000_000), FIRST)
        first = await house.finalise(anna, period_of(anna, FIRST))
        await late(house, anna, 1_500_000)
        tasks = []

        def compose(reading: Any, issue: Any) -> Any:
            tasks.append(asyncio.create_task(void(house, anna, first)))
            return composer(ISSUER)(reading, issue)

        period = period_of(anna, SECOND)
        done = await house.billing.book.finalise(
            anna.tenant_id, period, compose, lambda _: f"inv_{1:026}"
        )
        with pytest.raises(Conflict, match=f"^Void {done.number} first"):
            await tasks[0]
        assert await charged(house, world.bert) == 0

    in_world(database, body)


def test_of_a_period_closed_with_nothing_what_comes_late_stays_in_order(
    database: Database,
) -> None:
    """A later invoice has the included tokens: the period's own would have them again."""

    async def body(world: World) -> None:
        house = await begun(world, {"overage": GRADUATED})
        for who in (world.anna, world.bert):
            assert (await house.finalise(who, period_of(who, FIRST))).number is None
            await late(house, who, 4_000_000)
            second = await house.finalise(who, period_of(who, SECOND))
            assert second.document["total"] == "0.00"
            await late(house, who, 2_000_000)
            with pytest.raises(Conflict, match=f"^Void {second.number} first"):
                await house.finalise(who, period_of(who, FIRST))
            if who is world.anna:
                third = await house.finalise(who, period_of(who, THIRD))
                assert third.document["total"] == "10.00"
            else:
                await void(house, who, second)
                first = await house.finalise(who, period_of(who, FIRST))
                assert first.document["total"] == "10.00"
        assert await world.violations() == []

    in_world(database, body)
