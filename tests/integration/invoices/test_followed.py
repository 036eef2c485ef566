"""What a correction does to later invoices, and how its lines are followed; dates and numbers."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.support.billing import ISSUER, House, months_ago, period_of
from tests.support.corrected_invoices import (
    BEFORE,
    FIRST,
    LAST,
    NOW,
    corrected,
    in_zones,
    is_made_again,
    rates,
    text_of,
)
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.stripe.items import to_stripe
from tenantry.application.agreements import amend
from tenantry.application.invoicing import draft_from, issue_credit_note, void_invoice
from tenantry.domain.errors import BadRequest, Conflict
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import content_sha256, instant
from tenantry.domain.invoice_edition import Edition
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.entrypoints.cli.invoice_export import exported
from tenantry.ports.billing import Finalised

USED = Usage(out=1_000_000)  # 45.00


def sums(done: Finalised) -> list[str]:
    return [done.document[name] for name in ("total", "credit", "due")]


async def prepaid_left(house: House, who: Principal) -> Decimal:
    left = await house.billing.contracts.credit_left(who.tenant_id)
    return sum(left.values(), Decimal(0))


def test_a_downward_correction_goes_to_the_credit_and_pays_the_next_invoice(
    database: Database,
) -> None:
    """Of Anna, whose credit had paid, as of Bert, who had paid himself."""

    async def body(world: World) -> None:
        house, book = House.of(world), House.of(world).billing.book
        await rates(house)
        anna, bert = await in_zones(house)
        await house.billing.contracts.grant_credit(anna.tenant_id, Decimal(500), "voucher")
        for who in (anna, bert):
            for at in (FIRST, LAST):
                await house.used(who, USED, at)
            await house.finalise(who, period_of(who, FIRST))
        assert await prepaid_left(house, anna) == Decimal("450.50")
        for who in (anna, bert):
            await corrected(world, who, period_of(who, FIRST), "0.5")
        back = [await house.finalise(who, period_of(who, BEFORE)) for who in (anna, bert)]
        assert sums(back[0]) == ["-24.75", "-24.75", "0.00"]  # 22.50 and its tax
        assert sums(back[1]) == ["-22.28", "-22.28", "0.00"]  # of 40.50 at 0.9
        assert await prepaid_left(house, anna) == Decimal("475.25")
        assert await prepaid_left(house, bert) == Decimal("22.28")
        assert ("receivable", "USD") not in await house.entries(anna.tenant_id)
        for who, done in zip((anna, bert), back, strict=True):
            credits = await house.billing.contracts.credits(who.tenant_id)
            assert (credits[0]["kind"], credits[0]["number"]) == ("credit_returned", done.number)
            sent = to_stripe(done.document)
            assert sent.total == 0 and sent.items[-1].description == "Given back to prepaid credit"
            assert sent.items[-2].description == "VAT 10 %"
            rows = focus_rows(done.document)
            assert sum(Decimal(row["BilledCost"] or "") for row in rows) == 0
            paper = text_of(done.document)
            assert "it is prepaid credit now and pays your next invoices." in paper
            assert "in your favour " not in paper and "Amount due 0.00" in paper
            with pytest.raises(Conflict, match="left to credit"):
                await issue_credit_note(
                    book, SystemClock(), ISSUER, who.tenant_id, str(done.number), net=None,
                    reason="no",
                )  # fmt: skip
        later = [await house.finalise(who, period_of(who, LAST)) for who in (anna, bert)]
        assert sums(later[0]) == ["49.50", "49.50", "0.00"]
        assert sums(later[1]) == ["39.60", "22.28", "17.32"]  # 36.00 at 0.8
        for who, *made in zip((anna, bert), back, later, strict=True):
            assert all([await is_made_again(house, who, done) for done in made])
        with pytest.raises(Conflict, match=r"gave back, 22\.28 EUR are used up"):
            await void_invoice(book, bert.tenant_id, str(back[1].number), "mistaken")
        assert await void_invoice(book, anna.tenant_id, str(back[0].number), "mistaken")
        assert await prepaid_left(house, anna) == Decimal("401.00")
        assert sums(await house.finalise(anna, period_of(anna, BEFORE))) == sums(back[0])
        assert await prepaid_left(house, anna) == Decimal("425.75")
        assert await world.violations() == []

    in_world(database, body)


def test_an_adjustment_says_its_period_its_reason_and_its_rate(database: Database) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        await rates(house)
        anna, bert = await in_zones(house)
        for who in (anna, bert):
            for at in (FIRST, BEFORE):
                await house.used(who, USED, at)
                await house.finalise(who, period_of(who, at))
            now = await house.billing.book.now()
            await house.used(who, USED, BEFORE, posted_at=now)
            await house.used(who, Usage(out=4_000_000), LAST)
        for who in (anna, bert):
            await corrected(world, who, period_of(who, FIRST), "2")
        made = [await house.finalise(who, period_of(who, LAST)) for who in (anna, bert)]
        for who, done, rate in zip((anna, bert), made, (None, "0.9"), strict=True):
            lines = [line for line in done.document["lines"] if line["kind"] == "adjustment"]
            assert [line["reason"] for line in lines] == [
                "price_corrected", "price_corrected", "settled_late",
            ]  # fmt: skip
            spans = [period_of(who, at) for at in (FIRST, FIRST, BEFORE)]
            assert [line["period"] for line in lines] == [
                {"start": instant(span.start), "end": instant(span.end)} for span in spans
            ]
            told = [line["exchange_rate"] and line["exchange_rate"]["rate"] for line in lines]
            assert told == ([None] * 3 if rate is None else ["0.9", "0.9", "0.8"])
            words = [line["description"] for line in lines]
            assert all(f"price corrected, of the period from {FIRST:%Y-%m}-01" in each
                       for each in words[:2])  # fmt: skip
            assert f"settled late, of the period from {BEFORE:%Y-%m}-01" in words[2]
            assert "period" not in done.document["lines"][0]

            paper = text_of(done.document)
            assert paper.count(f"price corrected, {FIRST:%Y-%m}-01 to {FIRST:%Y-%m}-") == 2
            assert paper.count(f"settled late, {BEFORE:%Y-%m}-01 to {BEFORE:%Y-%m}-") == 1
            assert (f"Exchange rate, {FIRST:%Y-%m}-01 to" in paper) is (rate is not None)
            own, *rows = focus_rows(done.document)[:4]
            assert (
                own["ChargePeriodStart"]
                == own["BillingPeriodStart"]
                == instant(period_of(who, LAST).start)
            )
            assert [row["ChargePeriodStart"] for row in rows] == [
                instant(span.start) for span in spans
            ]
            assert {row["BillingPeriodStart"] for row in rows} == {own["BillingPeriodStart"]}
            assert [row["x_ExchangeRate"] for row in rows] == told
            cells = list(csv.DictReader(io.StringIO(exported("csv", done.document, None).decode())))
            assert [row["reason"] for row in cells[1:4]] == [line["reason"] for line in lines]
            assert [row["of_start"] for row in cells[:4]] == [
                "", *(instant(span.start) for span in spans),
            ]  # fmt: skip
            assert [row["exchange_rate"] or None for row in cells[1:4]] == told
            assert cells[4]["description"] == "VAT 10 %"
            assert await is_made_again(house, who, done)

    in_world(database, body)


def test_what_was_approved_before_is_issued_and_stays_as_it_was(database: Database) -> None:
    """Of the edition before: due to the customer, by days of 24 hours, without periods."""

    async def body(world: World) -> None:
        house, book = House.of(world), House.of(world).billing.book
        await rates(house)
        people = await in_zones(house)
        for who in people:
            await house.used(who, USED, BEFORE)
            first = period_of(who, FIRST)
            assert (await house.finalise(who, first)).number is None
            await house.finalise(who, period_of(who, BEFORE))
        for who in people:
            await corrected(world, who, period_of(who, BEFORE), "0.5")
        made = []
        for who in people:
            period = period_of(who, LAST)
            reading = await book.read(
                who.tenant_id, period, await book.close_ledger(who.tenant_id, period)
            )
            draft = draft_from(reading, ISSUER, Edition.PRICES_TOLD)
            await book.store_draft(who.tenant_id, period, draft, content_sha256(draft))
            made.append(await house.finalise(who, period))
        assert [sums(done) for done in made] == [
            ["-24.75", "0.00", "-24.75"],
            ["-19.80", "0.00", "-19.80"],
        ]
        for who, done in zip(people, made, strict=True):
            assert "issue_zone" not in done.document
            assert {"period", "reason"}.isdisjoint(done.document["lines"][0])
            assert "settled late, of the period" in done.document["lines"][0]["description"]
            assert await is_made_again(house, who, done)
            paper = text_of(done.document)
            assert "Amount in your favour" in paper and "(adjustment)" in paper
            billed = [Decimal(row["BilledCost"] or "") for row in focus_rows(done.document)]
            assert sum(billed) == Decimal(done.document["due"])
            assert exported("csv", done.document, None)
        assert await world.violations() == []

    in_world(database, body)


def test_number_and_date_of_new_year_are_of_one_year(database: Database) -> None:
    """Issued at one instant, for Anna still in the old year, for Bert in the new one."""

    async def body(world: World) -> None:
        house, year = House.of(world), datetime.now(UTC).year + 1
        await rates(house)
        people, zones = [], ("America/New_York", "Pacific/Auckland")
        for who, zone in zip(await in_zones(house), zones, strict=True):
            await house.as_the_past(
                f"UPDATE tenantry.tenant SET zone = '{zone}' WHERE tenant_id = '{who.tenant_id}'"
            )
            people.append(replace(who, tenant=replace(who.tenant, zone=zone)))
            await house.since(people[-1], months_ago(2, day=5, now=NOW))
            for at in (BEFORE, LAST):
                await house.used(people[-1], USED, at)
        [row] = await world.fetch(
            "SELECT pg_get_functiondef('tenantry.next_number'::regproc) AS definition"
        )
        eve = f"timestamptz '{year}-12-31 18:00Z'"
        await world.as_superuser(row["definition"].replace("clock_timestamp()", eve))
        made = [[await house.finalise(who, period_of(who, at)) for who in people]
                for at in (BEFORE, LAST)]  # fmt: skip
        numbers = [[done.number for done in each] for each in made]
        assert numbers == [[f"INV-{year}-00000{n}", f"INV-{year + 1}-00000{n}"] for n in (1, 2)]
        for who, zone, done in zip(people, zones, made[0], strict=True):
            assert done.document["issue_zone"] == zone
            note = await issue_credit_note(
                house.billing.book, SystemClock(), ISSUER, who.tenant_id, str(done.number),
                net=Decimal(1), reason="outage",
            )  # fmt: skip
            shown = str(done.number).split("-")[1]
            assert note.number == f"CN-{shown}-000001"
            assert note.document["issue_zone"] == zone
            for document in (done.document, note.document):
                assert f"Date {shown}-" in text_of(document)
        await world.as_superuser(row["definition"])
        assert await world.violations() == []

    in_world(database, body)


def test_a_tax_label_of_another_rate_is_not_entered(database: Database) -> None:
    async def body(world: World) -> None:
        contracts, anna, bert = (
            House.of(world).billing.contracts,
            world.anna.tenant,
            world.bert.tenant,
        )
        await amend(contracts, anna, {"tax_rate": "0.0825", "tax_label": "Sales tax 8.25 %"})
        await amend(contracts, bert, {"tax_rate": "0.07", "tax_label": "VAT"})
        with pytest.raises(BadRequest, match=r"tax_label says 8\.25 %, and tax_rate is 7 %"):
            await amend(contracts, anna, {"tax_rate": "0.07"})
        with pytest.raises(BadRequest, match="tax_label says 19 %, and tax_rate is 7 %"):
            await amend(contracts, bert, {"tax_label": "USt. 19 %"})
        done = await amend(contracts, anna, {"tax_rate": "0.07", "tax_label": "Sales tax"})
        assert done.version == 2
        await House.of(world).contract(
            world.bert,
            tax_rate=Decimal("0.07"),
            tax_label="USt. 19 %",  # as of before the check
        )
        assert (await amend(contracts, bert, {"payment_days": 14})).payment_days == 14

    in_world(database, body)
