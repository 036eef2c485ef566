"""Voids, credit notes, adjustments of earlier periods, prepaid credit, numbers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.support.billing import ISSUER, House, both_invoiced, months_ago, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.application.invoice_lists import get_invoice, list_invoices, oldest_open
from tenantry.application.invoicing import (
    composer,
    issue_credit_note,
    regenerate,
    shown,
    void_invoice,
)
from tenantry.domain.errors import BadRequest, Conflict, NotFound
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage

YEAR = datetime.now(UTC).year
LAST, BEFORE = months_ago(1), months_ago(2)
UNPRINTABLE = ("two\nlines", "\x1b[2J", "paid \u202etfel")  # the last would be read backwards
USED = Usage(uncached_in=1_000_000, out=500_000)  # charge 31.50


async def credit(house: House, who: Principal, number: str | None, **options: Any) -> Any:
    given = {"net": None, "reason": "outage of the 3rd", **options}
    book, clock = house.billing.book, SystemClock()
    return await issue_credit_note(book, clock, ISSUER, who.tenant_id, str(number), **given)


def test_a_late_event_is_an_adjustment_of_the_next_invoice_at_its_own_price(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.since(anna, months_ago(2, day=1))
        await house.used(anna, USED, BEFORE)
        june = await house.finalise(anna, period_of(anna, BEFORE))
        # Released by its worker and settled after June was final: linked, and of June.
        late = await world.admitted(anna)
        released = world.outcome(Usage(), end="released", rated=None, charged=False)
        await world.settle(late, released)
        await house.as_the_past(
            f"UPDATE tenantry.attempt SET admitted_at = '{BEFORE}'"
            f" WHERE request_id = '{late.request_id}'"
        )
        await world.settle(late, world.outcome(Usage(uncached_in=200_000)))
        [entry] = await world.fetch(
            "SELECT kind, admitted_at FROM charge_entry WHERE request_id = $1", late.request_id
        )
        assert tuple(entry) == ("adjustment", BEFORE)
        await house.move(late.request_id, BEFORE, datetime.now(UTC))
        await house.used(anna, Usage(uncached_in=100), LAST)
        july = await house.finalise(anna, period_of(anna, LAST))
        lines = [(line["kind"], line["quantity"], line["unit_price"], line["amount"])
                 for line in july.document["lines"]]  # fmt: skip
        assert lines == [("usage", 100, "9", "0.00"), ("adjustment", 200_000, "9", "1.80")]
        day = period_of(anna, BEFORE).start.date().isoformat()
        assert july.document["lines"][1]["description"].endswith(f"of the period from {day}")
        stored = await house.billing.book.document(anna.tenant_id, str(june.number))
        assert stored.sha256 == june.sha256
        assert (await regenerate(house.billing.book, anna.tenant_id, stored)).same
        # Once: the month after has nothing of it, and a void of July frees it for July alone.
        await void_invoice(house.billing.book, anna.tenant_id, str(july.number), "wrong address")
        again = await house.finalise(anna, period_of(anna, LAST))
        assert again.document["lines"] == july.document["lines"]
        assert again.number == f"INV-{YEAR}-000003"
        assert await house.entries(world.bert.tenant_id) == {}

    in_world(database, body)


def test_a_late_event_under_steps_costs_what_its_periods_next_token_cost(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        steps = [{"up_to": 1_000_000, "per_million": "10"}, {"per_million": "8"}]
        await world.plan(
            minimum="30", overage={"mode": "graduated", "included": 1_000_000, "steps": steps}
        )
        await house_of_two(world, tokens=2_500_000)  # 10 + 4 of usage, 16 to the minimum
        house, anna = House.of(world), world.anna
        await house.used(anna, Usage(out=3_000_000), BEFORE, posted_at=datetime.now(UTC))
        july = await house.finalise(anna, period_of(anna, LAST))
        adjusted = [(line["quantity"], line["amount"]) for line in july.document["lines"]
                    if line["kind"] == "adjustment"]  # fmt: skip
        assert adjusted == [(3_000_000, "24.00"), (1, "-16.00")]  # 8 a million; minus the minimum
        assert july.document["true_up"] == "30.00"

    in_world(database, body)


async def house_of_two(world: World, tokens: int) -> None:
    house, anna = House.of(world), world.anna
    await house.contract(anna)
    await house.plans_long_ago()
    await house.since(anna, months_ago(2, day=1))
    await house.used(anna, Usage(out=tokens), BEFORE)
    june = await house.finalise(anna, period_of(anna, BEFORE))
    assert (june.document["subtotal"], june.document["true_up"]) == ("14.00", "16.00")


async def drafts(house: House, who: Principal) -> list[str]:
    rows = await list_invoices(house.billing.invoices, who.tenant, datetime.now(UTC), ISSUER)
    return [row["number"] for row in rows if row["status"] == "draft"]


def test_a_void_keeps_its_number_gives_back_credit_and_frees_its_usage(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        contracts = house.billing.contracts
        assert await contracts.grant_credit(anna.tenant_id, Decimal("20.00"), "ahead") == 20
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, USED, LAST)
        done = await house.finalise(anna, period_of(anna, LAST))
        assert (done.document["credit"], done.document["due"]) == ("20.00", "11.50")
        book, number = house.billing.book, str(done.number)
        assert await void_invoice(book, anna.tenant_id, number, "wrong address")
        assert not await void_invoice(book, anna.tenant_id, number, "again")
        assert await house.entries(anna.tenant_id) == {
            ("prepayment", "USD"): Decimal(20),
            ("prepaid_credit", "USD"): Decimal(-20),
        }
        stored = await book.document(anna.tenant_id, number)
        assert (stored.status, stored.sha256) == ("void", done.sha256)
        assert shown(stored)["status"] == "void"
        assert json.loads(stored.document) == done.document
        kinds = [row["kind"] for row in await contracts.credits(anna.tenant_id)]
        assert kinds == ["credit_returned", "credit_used", "credit_granted"]
        assert await oldest_open(book, anna.tenant_id) == period_of(anna, LAST)
        running, freed = f"draft-{datetime.now(UTC):%Y-%m}-01", f"draft-{LAST:%Y-%m}-01"
        assert await drafts(house, anna) == [running, freed]
        again = await house.finalise(anna, await oldest_open(book, anna.tenant_id))
        assert again.number == f"INV-{YEAR}-000002"
        assert await oldest_open(book, anna.tenant_id) == await book.next_period(anna.tenant_id)
        assert await drafts(house, anna) == [running]
        assert again.document["lines"] == done.document["lines"]
        with pytest.raises(NotFound):
            await void_invoice(book, world.bert.tenant_id, str(again.number), "not mine")
        for reason in (" ", "r" * 501, *UNPRINTABLE):
            with pytest.raises(BadRequest, match="reason"):
                await void_invoice(book, anna.tenant_id, str(again.number), reason)
        with pytest.raises(Conflict, match="Only 0 of the credit"):
            await contracts.grant_credit(anna.tenant_id, Decimal(-1), "take back")

    in_world(database, body)


def test_drafts_are_listed_down_to_the_one_to_make_final_next(database: Database) -> None:
    """Of periods that nobody has invoiced for long, and of many that voids have freed."""

    async def body(world: World) -> None:
        await world.plan(monthly_fee="10")
        house, (anna, bert) = House.of(world), (world.anna, world.bert)
        await house.plans_long_ago()
        for who in (anna, bert):
            await house.contract(who)
            await house.since(who, months_ago(5, day=1))
        names = [f"draft-{months_ago(months, day=1):%Y-%m-%d}" for months in range(6)]
        book = house.billing.book
        assert await drafts(house, bert) == [*names[:3], names[5]]
        for months in (5, 4, 3, 2, 1):
            await house.finalise(anna, period_of(anna, months_ago(months)))
        for row in await book.documents(anna.tenant_id):
            await void_invoice(book, anna.tenant_id, row["number"], "wrong address")
        assert await drafts(house, anna) == names
        now = datetime.now(UTC)
        for who in (anna, bert):
            following = await oldest_open(book, who.tenant_id)
            assert following == period_of(who, months_ago(5))
            made = await get_invoice(house.billing.invoices, who.tenant, names[5], now, ISSUER)
            assert made["number"] == names[5]

    in_world(database, body)


def test_a_credit_note_has_its_own_number_and_its_share_of_the_tax(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna, tax_rate=Decimal("0.0825"), tax_label="Sales tax")
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, USED, LAST)
        done = await house.finalise(anna, period_of(anna, LAST))
        assert done.document["total"] == "34.10"  # 31.50 + 2.60
        part = await credit(house, anna, done.number, net=Decimal(10))
        assert part.number == f"CN-{YEAR}-000001"
        assert part.document["references"] == {
            "invoice": done.number,
            "reason": "outage of the 3rd",
        }
        sums = (part.document["subtotal"], part.document["tax"]["amount"], part.document["due"])
        assert sums == ("-10.00", "-0.83", "-10.83")
        for reason in (" ", "r" * 201, *UNPRINTABLE):
            with pytest.raises(BadRequest, match="reason"):
                await credit(house, anna, done.number, reason=reason)
        for net in (Decimal("21.51"), Decimal(0), Decimal("0.001"), Decimal("NaN")):
            with pytest.raises(Conflict):
                await credit(house, anna, done.number, net=net)
        rest = await credit(house, anna, done.number)
        assert rest.document["total"] == "-23.27"  # to the cent: 34.10 − 10.83
        with pytest.raises(Conflict, match="nothing is left"):
            await credit(house, anna, done.number)
        balances = await house.entries(anna.tenant_id)
        assert ("receivable", "USD") not in balances
        assert ("tax_payable", "USD") not in balances
        book = house.billing.book
        with pytest.raises(Conflict, match="void those first"):
            await void_invoice(book, anna.tenant_id, str(done.number), "too late")
        for note in (part, rest):
            assert await void_invoice(book, anna.tenant_id, str(note.number), "mistaken")
        assert await void_invoice(book, anna.tenant_id, str(done.number), "now")
        with pytest.raises(Conflict, match="no final invoice"):
            await credit(house, anna, done.number)
        with pytest.raises(NotFound):
            await credit(house, world.bert, done.number)
        kinds = [row[0] for row in await world.fetch("SELECT kind FROM notice ORDER BY created_at")]
        assert kinds == [
            "invoice.finalised",
            *["credit_note.issued"] * 2,
            *["credit_note.voided"] * 2,
            "invoice.voided",
        ]

    in_world(database, body)


def test_a_credit_note_gives_prepaid_credit_back_and_its_void_takes_it_again(
    database: Database,
) -> None:
    """Nobody is owed money who paid nothing, and no credit is spent twice."""

    async def body(world: World) -> None:
        house, contracts = House.of(world), House.of(world).billing.contracts
        book = house.billing.book
        numbers = {}
        for who, granted in ((world.anna, 40), (world.bert, 20)):
            await house.contract(who)
            await contracts.grant_credit(who.tenant_id, Decimal(granted), "promo")
            await house.since(who, months_ago(1, day=1))
            await house.used(who, USED, LAST)
            done = await house.finalise(who, period_of(who, LAST))
            numbers[who.tenant.name] = str(done.number)
        whole = await credit(house, world.anna, numbers["anna"])
        shown = [whole.document[name] for name in ("total", "credit", "due")]
        assert shown == ["-31.50", "-31.50", "0.00"]
        assert (await house.entries(world.anna.tenant_id))[("prepaid_credit", "USD")] == -40
        part = await credit(house, world.bert, numbers["bert"], net=Decimal(15))
        assert (part.document["credit"], part.document["due"]) == ("-3.50", "-11.50")
        rest = await credit(house, world.bert, numbers["bert"])
        assert (rest.document["credit"], rest.document["due"]) == ("-16.50", "0.00")
        balances = await house.entries(world.bert.tenant_id)
        assert balances[("prepaid_credit", "USD")] == -20
        assert ("receivable", "USD") not in balances
        assert await world.violations() == []

        assert await void_invoice(book, world.bert.tenant_id, str(rest.number), "mistaken")
        assert (await house.entries(world.bert.tenant_id))[("prepaid_credit", "USD")] == Decimal(
            "-3.5"
        )
        kinds = [row["kind"] for row in await contracts.credits(world.bert.tenant_id)]
        assert kinds[:2] == ["credit_used", "credit_returned"]
        await contracts.grant_credit(world.anna.tenant_id, Decimal(-40), "taken back")
        with pytest.raises(Conflict, match=r"gave back, 31\.5 USD are used up"):
            await void_invoice(book, world.anna.tenant_id, str(whole.number), "mistaken")
        assert (await book.document(world.anna.tenant_id, str(whole.number))).status == "final"
        assert await world.violations() == []

    in_world(database, body)


def test_fifty_at_once_ten_roll_back_numbers_have_no_gap(database: Database) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        people = []
        for n in range(50):
            tenant = await world.control.create_tenant(f"t{n:02}", plan="standard")
            people.append(Principal(tenant, world.anna.api_key_id))
            await house.contract(people[-1])
            await house.since(people[-1], months_ago(1, day=1))
        await world.plan(monthly_fee="10")
        period = period_of(people[0], LAST)
        book = house.billing.book

        async def one(n: int) -> Any:
            def compose(reading: Any, issue: Any) -> Any:
                if n % 5 == 0:
                    raise ZeroDivisionError("in the middle of its transaction")
                return composer(ISSUER)(reading, issue)

            identity = f"inv_{n:026}"
            return await book.finalise(people[n].tenant_id, period, compose, lambda _: identity)

        await house.plans_long_ago()
        done = await asyncio.gather(*map(one, range(50)), return_exceptions=True)
        failed = [each for each in done if isinstance(each, BaseException)]
        assert [type(each) for each in failed] == [ZeroDivisionError] * 10
        numbers = await house.numbers()
        assert numbers == [f"INV-{YEAR}-{n:06}" for n in range(1, 41)]
        issued = await world.fetch("SELECT issued_at FROM invoice ORDER BY series_number")
        assert [row[0] for row in issued] == sorted(row[0] for row in issued)
        owner = await book.owner(numbers[16])
        assert await void_invoice(book, owner, numbers[16], "for a test")
        assert await house.numbers() == numbers
        [who] = [each for each in people if each.tenant_id == owner]
        assert (await house.finalise(who, period)).number == f"INV-{YEAR}-000041"

    in_world(database, body)


def test_the_same_period_at_once_is_final_once(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, USED, LAST)
        period = period_of(anna, LAST)
        done = await asyncio.gather(
            *(house.finalise(anna, period) for _ in range(6)), return_exceptions=True
        )
        refused = [each for each in done if isinstance(each, Conflict)]
        assert len(refused) == 5
        assert await house.numbers() == [f"INV-{YEAR}-000001"]

    in_world(database, body)


def test_two_tenants_credit_and_contracts_are_apart(database: Database) -> None:
    async def body(world: World) -> None:
        await both_invoiced(world)
        house = House.of(world)
        contracts = house.billing.contracts
        await contracts.grant_credit(world.anna.tenant_id, Decimal(7), "hers")
        assert await contracts.credits(world.bert.tenant_id) == []
        mine = await contracts.contracts(world.anna.tenant_id)
        assert [version["customer"]["name"] for version in mine] == ["anna Corp."]
        with pytest.raises(Conflict, match="a currency stays"):
            await house.contract(world.anna, currency="EUR")
        for amount in ("0", "NaN", "0.001", "1e12", "-1e400"):
            with pytest.raises(BadRequest):
                await contracts.grant_credit(world.anna.tenant_id, Decimal(amount), "")

    in_world(database, body)
