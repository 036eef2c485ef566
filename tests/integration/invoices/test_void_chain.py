"""Which invoices are void before one can be: all of them, in an order that works, and none that has
nothing to do with it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.support.billing import ISSUER, House, months_ago, period_of
from tests.support.ledger import EPOCH, MODEL, World, in_world, synthetic_prices
from tests.support.postgres import Database
from tests.support.voids import (
    FIRST,
    GRADUATED,
    IN_ORDER,
    SECOND,
    THIRD,
    begun,
    charged,
    late,
    void,
)

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application.corrections import correct_prices
from tenantry.application.invoicing import issue_credit_note, void_invoice
from tenantry.domain.errors import Conflict, NotFound
from tenantry.domain.price import edition_from_csv
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

MONTHS = [months_ago(n) for n in (4, 3, 2, 1)]
STEPS_ALONE = {"monthly_fee": "10", "overage": GRADUATED}


async def chained(house: House, who: Principal) -> list[Finalised]:
    """Each invoice after the first holds usage of the month before its own; the third invoice has
    nothing else."""
    await house.since(who, MONTHS[0].replace(day=1))
    made: list[Finalised] = []
    for month in MONTHS:
        if made:
            before = MONTHS[len(made) - 1]
            await house.used(who, Usage(out=1_500_000), before, posted_at=datetime.now(UTC))
        if month in MONTHS[:2]:
            await house.used(who, Usage(out=4_000_000), month)
        made.append(await house.finalise(who, period_of(who, month)))
    return made


async def credited(house: House, who: Principal, of: Finalised) -> Finalised:
    return await issue_credit_note(
        house.billing.book, SystemClock(), ISSUER, who.tenant_id, str(of.number),
        net=Decimal(1), reason="outage",
    )  # fmt: skip


async def refusal(house: House, who: Principal, done: Finalised) -> str:
    with pytest.raises(Conflict) as refused:
        await void(house, who, done)
    return str(refused.value)


async def corrected(world: World, who: Principal) -> None:
    """What was used in the first month cost twice its price."""
    world.prices = right = await world.control.import_prices(synthetic_prices(Decimal(2)))
    span = period_of(who, FIRST)
    fixes = PostgresCorrections(world.databases.control)
    await correct_prices(fixes, who.tenant_id, span.start, span.end, wrong=1, right=right)


def test_a_refusal_names_all_that_is_void_before_in_an_order_that_works(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house = await begun(world, IN_ORDER[0])
        for who in (world.anna, world.bert):
            made = await chained(house, who)
            second, third, fourth = [done.number for done in made[1:]]
            before = await charged(house, who)
            assert (await refusal(house, who, made[0])).startswith(
                f"Void {fourth}, {third}, {second} first, in this order: "
            )
            assert (await refusal(house, who, made[1])).startswith(
                f"Void {fourth}, {third} first, in this order: "
            )
            assert (await refusal(house, who, made[2])).startswith(
                f"Void {fourth} first, in this order: "
            )
            for done in reversed(made):
                await void(house, who, done)
            for month in MONTHS:
                await house.finalise(who, period_of(who, month))
            assert await charged(house, who) == before

    in_world(database, body)


def test_an_invoice_that_holds_nothing_of_another_is_not_named(database: Database) -> None:
    """The second one: the third holds usage of the first month, and none of the second."""

    async def body(world: World) -> None:
        house = await begun(world, IN_ORDER[0])
        for who in (world.anna, world.bert):
            made = []
            for month in (FIRST, SECOND, THIRD):
                await house.used(who, Usage(out=4_000_000), month)
                if month == THIRD:
                    await late(house, who, 1_500_000)
                made.append(await house.finalise(who, period_of(who, month)))
            told = await refusal(house, who, made[0])
            assert (
                told.startswith(f"Void {made[2].number} first") and str(made[1].number) not in told
            )
            await void(house, who, made[1])

    in_world(database, body)


def test_a_refusal_says_which_of_them_have_credit_notes(database: Database) -> None:
    async def body(world: World) -> None:
        house = await begun(world, IN_ORDER[0])
        for who in (world.anna, world.bert):
            made = await chained(house, who)
            assert "credit notes" not in await refusal(house, who, made[0])
            notes = [await credited(house, who, made[n]) for n in (0, 1, 3)]
            told = await refusal(house, who, made[0])
            named = ", ".join(str(made[n].number) for n in (3, 1, 0))
            assert told.endswith(f" Credit notes come before their invoices: {named} have some.")
            assert (await refusal(house, who, made[2])).endswith(
                f" Credit notes come before their invoices: {made[3].number} has some."
            )
            for done in (*reversed(notes), *reversed(made)):
                await void(house, who, done)

    in_world(database, body)


def test_the_refusal_of_another_invoice_of_a_period_names_all_as_well(database: Database) -> None:
    async def body(world: World) -> None:
        house = await begun(world, {"overage": GRADUATED})
        for who in (world.anna, world.bert):
            assert (await house.finalise(who, period_of(who, FIRST))).number is None
            await late(house, who, 4_000_000)
            second = await house.finalise(who, period_of(who, SECOND))
            await house.used(who, Usage(out=1), SECOND, posted_at=datetime.now(UTC))
            third = await house.finalise(who, period_of(who, THIRD))
            await late(house, who, 2_000_000)
            with pytest.raises(Conflict, match=f"^Void {third.number}, {second.number} first"):
                await house.finalise(who, period_of(who, FIRST))
            for done in (third, second):
                await void(house, who, done)
            assert (await house.finalise(who, period_of(who, FIRST))).number

    in_world(database, body)


def test_a_corrected_price_alone_is_no_later_usage_of_a_plan_of_steps(database: Database) -> None:
    """It moves no token: neither invoice prices tokens as what comes after those of the other."""

    async def body(world: World) -> None:
        house = await begun(world, STEPS_ALONE)
        for who in (world.anna, world.bert):
            await house.used(who, Usage(out=6_000_000), FIRST)
        made = [
            await house.finalise(who, period_of(who, FIRST)) for who in (world.anna, world.bert)
        ]
        await corrected(world, world.anna)
        await corrected(world, world.bert)
        for who, first in zip((world.anna, world.bert), made, strict=True):
            second = await house.finalise(who, period_of(who, SECOND))
            assert [line["kind"] for line in second.document["lines"]] == ["fee"]
            before = await charged(house, who)
            await void(house, who, first)
            again = await house.finalise(who, period_of(who, FIRST))
            assert again.document["total"] == first.document["total"] == "20.00"
            await late(house, who, 1_000_000)
            third = await house.finalise(who, period_of(who, THIRD))
            assert await charged(house, who) == before + 18
            await void(house, who, second)  # though the third holds tokens of the first month
            assert (await refusal(house, who, again)).startswith(f"Void {third.number} first")

    in_world(database, body)


@pytest.mark.parametrize("plan", [IN_ORDER[2], {**STEPS_ALONE, "minimum": "200"}])
def test_under_a_minimum_a_corrected_price_is_later_usage(
    database: Database, plan: dict[str, object]
) -> None:
    async def body(world: World) -> None:
        house, anna = await begun(world, plan), world.anna
        await house.used(anna, Usage(out=6_000_000), FIRST)
        first = await house.finalise(anna, period_of(anna, FIRST))
        await corrected(world, anna)
        second = await house.finalise(anna, period_of(anna, SECOND))
        assert (await refusal(house, anna, first)).startswith(f"Void {second.number} first")
        with pytest.raises(NotFound):
            await void_invoice(house.billing.book, world.bert.tenant_id, str(first.number), "x")

    in_world(database, body)


def test_what_a_plan_of_steps_charges_by_list_knows_no_order(database: Database) -> None:
    async def body(world: World) -> None:
        house = await begun(world, STEPS_ALONE)
        lines = ["model,tier,over_tokens,class,usd_per_million"]
        lines += [f"{MODEL},default,0,{name},15" for name in ("out", "image")]
        prices = edition_from_csv(lines, version=1, effective_from=EPOCH, source="synthetic")
        world.prices = await world.control.import_prices(prices)
        for who in (world.anna, world.bert):
            await house.used(who, Usage(out=6_000_000), FIRST)
            first = await house.finalise(who, period_of(who, FIRST))
            await house.used(who, Usage(image=3), FIRST, posted_at=datetime.now(UTC))
            second = await house.finalise(who, period_of(who, SECOND))
            assert [line["token_class"] for line in second.document["lines"][1:]] == ["image"]
            before = await charged(house, who)
            await void(house, who, first)
            await house.finalise(who, period_of(who, FIRST))
            assert await charged(house, who) == before

    in_world(database, body)
