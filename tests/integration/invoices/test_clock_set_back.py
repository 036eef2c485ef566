"""The clock was ahead and is set right: what is done to a tenant's invoicing keeps its order, and
each invoice is made again as it was."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.support.billing import ADDRESS, ISSUER, House, period_of
from tests.support.invoiced_past import now
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

from tenantry.adapters.clock import SystemClock
from tenantry.application.invoicing import issue_credit_note, regenerate
from tenantry.domain.agreement import Agreement
from tenantry.domain.errors import Conflict
from tenantry.domain.party import Party
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

AHEAD = timedelta(days=1)
ALONE = IN_ANY_ORDER[0]


async def was_ahead(house: House, who: Principal, table: str, column: str) -> None:
    """The clock was, when what stands of a tenant in a table was written."""
    await house.as_the_past(
        f"UPDATE tenantry.{table} SET {column} = clock_timestamp() + interval '{AHEAD.days} days'"
        f" WHERE tenant_id = '{who.tenant_id}'"
    )


async def same(house: House, who: Principal, *made: Finalised) -> bool:
    found = []
    for each in made:
        stored = await house.billing.book.document(who.tenant_id, str(each.number))
        found.append((await regenerate(house.billing.invoices, who.tenant_id, stored)).same)
    return all(found)


async def is_by_the_clock(world: World, who: Principal) -> bool:
    """Whatever another tenant's was."""
    rows = await world.fetch("SELECT issued_at FROM invoice WHERE tenant_id = $1", who.tenant_id)
    return all(row["issued_at"] <= now() for row in rows)


def test_a_void_is_refused_under_an_invoice_that_was_made_later_by_an_earlier_clock(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house = await begun(world, IN_ORDER[0])
        for who in (world.anna, world.bert):
            await house.used(who, Usage(out=6_000_000), FIRST)
            first = await house.finalise(who, period_of(who, FIRST))
            if who is world.anna:
                await was_ahead(house, who, "invoice", "issued_at")
            await late(house, who, 3_000_000)
            second = await house.finalise(who, period_of(who, SECOND))
            assert await same(house, who, second)
            with pytest.raises(Conflict, match=f"^Void {second.number} first"):
                await void(house, who, first)
        assert not await is_by_the_clock(world, world.anna)
        assert await is_by_the_clock(world, world.bert)

    in_world(database, body)


def test_a_void_is_later_than_what_was_made_before_it(database: Database) -> None:
    """And what is made then is later than the void."""

    async def body(world: World) -> None:
        house = await begun(world, ALONE)
        for who in (world.anna, world.bert):
            await house.used(who, Usage(out=6_000_000), FIRST)
            first = await house.finalise(who, period_of(who, FIRST))
            if who is world.anna:
                await was_ahead(house, who, "invoice", "issued_at")
            await late(house, who, 3_000_000)
            second = await house.finalise(who, period_of(who, SECOND))
            before = await charged(house, who)
            await void(house, who, first)
            assert await same(house, who, second)
            again = await house.finalise(who, period_of(who, FIRST))
            third = await house.finalise(who, period_of(who, THIRD))
            assert await charged(house, who) == before + Decimal(third.document["total"])
            assert await same(house, who, second, again, third)

    in_world(database, body)


def test_a_period_of_nothing_is_closed_in_its_place(database: Database) -> None:
    async def body(world: World) -> None:
        house = await begun(world, {"overage": GRADUATED})
        for who in (world.anna, world.bert):
            assert (await house.finalise(who, period_of(who, FIRST))).number is None
            if who is world.anna:
                await was_ahead(house, who, "invoice_run", "tried_at")
            await late(house, who, 6_000_000)
            second = await house.finalise(who, period_of(who, SECOND))
            assert second.document["total"] == "10.00"
            assert await same(house, who, second)
            if who is world.anna:
                await was_ahead(house, who, "invoice", "issued_at")
            assert (await house.finalise(who, period_of(who, THIRD))).number is None
            [row] = await world.fetch(
                "SELECT r.tried_at > i.issued_at AS later FROM invoice_run r JOIN invoice i"
                " ON i.tenant_id = r.tenant_id WHERE r.tenant_id = $1 AND r.period_start = $2",
                who.tenant_id,
                period_of(who, THIRD).start,
            )
            assert row["later"]
        assert await is_by_the_clock(world, world.bert)

    in_world(database, body)


def test_credit_is_what_it_was_when_it_paid(database: Database) -> None:
    async def body(world: World) -> None:
        house = await begun(world, ALONE)
        contracts = house.billing.contracts
        for who in (world.anna, world.bert):
            await contracts.grant_credit(who.tenant_id, Decimal(100), "welcome")
            if who is world.anna:
                await was_ahead(house, who, "billing_entry", "posted_at")
            made = []
            for month in (FIRST, SECOND):
                await house.used(who, Usage(out=1_000_000), month)
                made.append(await house.finalise(who, period_of(who, month)))
            assert [done.document["credit"] for done in made] == ["55.00", "45.00"]
            await contracts.grant_credit(who.tenant_id, Decimal(7), "sorry")
            assert await same(house, who, *made)
            await void(house, who, made[0])
            assert await contracts.credit_left(who.tenant_id) == {"USD": Decimal(62)}
            assert await same(house, who, *made)
        assert await is_by_the_clock(world, world.bert)

    in_world(database, body)


def test_a_contract_is_what_it_was_when_it_was_invoiced(database: Database) -> None:
    async def body(world: World) -> None:
        house = await begun(world, ALONE)
        for who in (world.anna, world.bert):
            if who is world.anna:
                await was_ahead(house, who, "contract", "entered_at")
            first = await house.finalise(who, period_of(who, FIRST))
            assert await same(house, who, first)
            if who is world.anna:
                await was_ahead(house, who, "invoice", "issued_at")
            moved = Party(f"{who.tenant.name} Ltd.", ADDRESS)
            await house.agree(who, Agreement(moved))
            [row] = await world.fetch(
                "SELECT c.entered_at > i.issued_at AS later FROM contract c JOIN invoice i"
                " ON i.tenant_id = c.tenant_id WHERE c.tenant_id = $1 AND c.version = 2",
                who.tenant_id,
            )
            assert row["later"]
            second = await house.finalise(who, period_of(who, SECOND))
            assert second.document["customer"]["name"] == moved.name
            assert await same(house, who, second)
        assert await is_by_the_clock(world, world.bert)

    in_world(database, body)


def test_documents_are_listed_in_the_order_in_which_they_were_made(database: Database) -> None:
    async def body(world: World) -> None:
        house = await begun(world, ALONE)
        for who in (world.anna, world.bert):
            first = await house.finalise(who, period_of(who, FIRST))
            if who is world.anna:
                await was_ahead(house, who, "invoice", "issued_at")
            book, number = house.billing.book, str(first.number)
            note = await issue_credit_note(
                book, SystemClock(), ISSUER, who.tenant_id, number, net=Decimal(1), reason="outage"
            )
            second = await house.finalise(who, period_of(who, SECOND))
            rows = await book.documents(who.tenant_id)
            assert [row["number"] for row in rows] == [second.number, note.number, number]

    in_world(database, body)
