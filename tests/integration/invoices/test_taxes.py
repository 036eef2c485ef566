"""What is invoiced after its period has the tax that its period was invoiced with."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from tests.support.billing import ISSUER, House, months_ago, period_of
from tests.support.corrected_invoices import (
    BEFORE,
    FIRST,
    LAST,
    NOW,
    corrected,
    is_made_again,
    text_of,
)
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.stripe.items import to_stripe
from tenantry.application.invoicing import draft_from, issue_credit_note, void_invoice
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.errors import Conflict
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import content_sha256
from tenantry.domain.invoice_edition import Edition
from tenantry.domain.period import Span
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.entrypoints.cli.invoice_export import exported
from tenantry.ports.billing import Finalised

USED = Usage(out=10_000_000)  # 450.00
OF_USD = {"USD": Decimal(1), "EUR": Decimal("0.9"), "JPY": Decimal("150.123")}
DIGITS = {"JPY": 0}
OLD, NEW, NEWER = ("0.19", "USt"), ("0.077", "MWST"), ("0.081", "MWST")


async def taxed(house: House, who: Principal, currency: str, tax: tuple[str, str]) -> None:
    await house.contract(who, currency=currency, tax_rate=Decimal(tax[0]), tax_label=tax[1])


async def begun(house: House, other: str, tax: tuple[str, str]) -> dict[str, Principal]:
    """Anna pays dollars, Bert another currency, both since three months."""
    await house.plans_long_ago()
    found = {"USD": house.world.anna, other: house.world.bert}
    for currency, who in found.items():
        if currency != "USD":
            rate = ExchangeRate(date(2020, 1, 1), "USD", currency, OF_USD[currency], "ECB")
            await house.billing.contracts.add_rate(rate)
        await taxed(house, who, currency, tax)
        await house.since(who, months_ago(3, day=2, now=NOW))
    return found


def in_units(amount: Fraction, currency: str) -> Decimal:
    """Half up, away from zero, by other arithmetic than the product's."""
    digits = DIGITS.get(currency, 2)
    units = int(abs(amount) * 10**digits + Fraction(1, 2))
    return Decimal(-units if amount < 0 else units).scaleb(-digits)


def line_of(usd: str, currency: str) -> Fraction:
    """Each line is rounded for itself, and 616.50 USD at 150.123 yen have halves."""
    return Fraction(in_units(Fraction(usd) * Fraction(OF_USD[currency]), currency))


def check(document: dict[str, Any], expected: dict[tuple[str, str], Fraction]) -> None:
    """Sums of the JSON, recomputed from its lines and from the nets that a test knows; and the
    same rows in every form of the document."""
    currency, tax = document["currency"], document["tax"]
    nets: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in document["lines"]:
        of = line.get("tax") or tax
        nets[of["rate"], of["label"]] += Decimal(line["amount"])
    assert nets == {by: in_units(net, currency) for by, net in expected.items()}
    amounts = {by: in_units(Fraction(net) * Fraction(by[0]), currency) for by, net in nets.items()}
    told = tax.get("parts") or [tax]
    assert ("parts" in tax) is (len(nets) > 1)
    assert {(each["rate"], each["label"]): Decimal(each["amount"]) for each in told} == amounts
    if "parts" in tax:
        assert [Decimal(each["net"]) for each in told] == [
            nets[each["rate"], each["label"]] for each in told
        ]
        assert {by: tax[by] for by in ("rate", "label")} == {
            by: told[0][by] for by in ("rate", "label")
        }
    assert Decimal(tax["amount"]) == sum(amounts.values())
    total = sum(nets.values()) + sum(amounts.values())
    assert Decimal(document["total"]) == total
    assert Decimal(document["due"]) + Decimal(document["credit"]) == total

    words = {by: f"{by[1]} {Decimal(by[0]) * 100:f}".rstrip("0").rstrip(".") + " %" for by in nets}
    rows = focus_rows(document)
    shown = [(words[each["rate"], each["label"]], Decimal(each["amount"])) for each in told]
    assert shown == [
        (row["ChargeDescription"], Decimal(row["BilledCost"] or ""))
        for row in rows
        if row["ChargeCategory"] == "Tax"
    ]
    cells = list(csv.DictReader(io.StringIO(exported("csv", document, None).decode())))
    assert shown == [
        (row["description"], Decimal(row["amount"])) for row in cells if row["kind"] == "tax"
    ]
    assert sum(Decimal(row["amount"]) for row in cells) == Decimal(document["due"])
    paper = text_of(document)
    for by, amount in amounts.items():
        of = f" of {nets[by]:,f}" if "parts" in tax else ""
        assert f"{words[by]}{of} {amount:,f}".replace("-", "−") in paper
    if document["kind"] == "invoice" and Decimal(document["due"]) >= 0:
        items = to_stripe(document).items
        units = 10 ** DIGITS.get(currency, 2)
        assert [(i.description, i.amount) for i in items if i.key.startswith("tax")] == [
            (said, int(amount * units)) for said, amount in shown if amount
        ]


@pytest.mark.parametrize("other", ["EUR", "JPY"])
@pytest.mark.parametrize(("then", "now"), [(OLD, NEW), (NEW, NEWER)])
def test_what_was_given_back_has_the_tax_that_was_charged(
    database: Database, other: str, then: tuple[str, str], now: tuple[str, str]
) -> None:
    """A price halved after the tax was changed, and nothing else: a document of one tax."""

    async def body(world: World) -> None:
        house = House.of(world)
        people = await begun(house, other, then)
        made = {}
        for currency, who in people.items():
            await house.used(who, USED, FIRST)
            await house.used(who, USED, LAST)
            first = await house.finalise(who, period_of(who, FIRST))
            check(first.document, {then: 450 * Fraction(OF_USD[currency])})
            await taxed(house, who, currency, now)
            made[currency] = [first]
        for currency, who in people.items():
            await corrected(world, who, period_of(who, FIRST), "0.5")
            for at in (BEFORE, LAST):
                made[currency].append(await house.finalise(who, period_of(who, at)))
        for currency, who in people.items():
            _, back, own = made[currency]
            check(back.document, {then: line_of("225", currency) - line_of("450", currency)})
            assert all("tax" in line for line in back.document["lines"])
            check(own.document, {now: 450 * Fraction(OF_USD[currency])})
            assert not any("tax" in line for line in own.document["lines"])
            assert own.document["credit"] == back.document["credit"].removeprefix("-")
            for done in made[currency]:
                assert await is_made_again(house, who, done)
        if then == OLD:
            assert made["USD"][1].document["tax"]["amount"] == "-42.75"
        assert await world.violations() == []

    in_world(database, body)


async def of_three(world: World, other: str) -> dict[str, tuple[Principal, Finalised]]:
    """Two periods were closed at 19 and 7.7 %; both are corrected upwards and get late usage, and
    the third is invoiced at 8.1 %."""
    house = House.of(world)
    people = await begun(house, other, OLD)
    for currency, who in people.items():
        for at, tax in ((FIRST, NEW), (BEFORE, NEWER)):
            await house.used(who, USED, at)
            await house.finalise(who, period_of(who, at))
            await taxed(house, who, currency, tax)
        now = await house.billing.book.now()
        await house.used(who, USED, BEFORE, posted_at=now)
        await house.used(who, USED, LAST)
    found = {}
    for currency, who in people.items():
        both = Span(period_of(who, FIRST).start, period_of(who, BEFORE).end)
        await corrected(world, who, both, "1.37")
        found[currency] = who, await house.finalise(who, period_of(who, LAST))
    return found


def nets_of_three(currency: str) -> dict[tuple[str, str], Fraction]:
    """From 450 to 616.50: of the first 166.50 more, of the second that and 616.50 of late usage."""
    own = line_of("450", currency)
    return {
        NEWER: own,
        OLD: line_of("616.5", currency) - own,
        NEW: line_of("1233", currency) - own,
    }


@pytest.mark.parametrize("other", ["EUR", "JPY"])
def test_each_of_three_rates_is_taxed_apart_in_every_form(database: Database, other: str) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        for currency, (who, done) in (await of_three(world, other)).items():
            check(done.document, nets_of_three(currency))
            told = [(each["rate"], each["label"]) for each in done.document["tax"]["parts"]]
            assert told == [NEWER, OLD, NEW]
            paper = text_of(done.document)
            for line in done.document["lines"]:
                assert ("tax" in line) is (line["kind"] == "adjustment")
                if "tax" in line:
                    words = ", USt 19 %" if line["tax"]["label"] == "USt" else ", MWST 7.7 %"
                    assert line["description"].endswith(words)
            assert paper.count("USt 19 %") == 3 and "MWST 7.7 %" in paper
            assert await is_made_again(house, who, done)
        entries = await house.entries(world.anna.tenant_id)
        assert entries["tax_payable", "USD"] == Decimal("-85.50") - Decimal("34.65") - (
            Decimal("36.45") + Decimal("31.64") + Decimal("60.29")
        )
        assert await world.violations() == []

    in_world(database, body)


@pytest.mark.parametrize("other", ["EUR", "JPY"])
def test_credit_notes_give_back_of_each_rate_and_come_to_the_invoice(
    database: Database, other: str
) -> None:
    """Also with a void between them; the invoice's own void and its second issue follow."""

    async def body(world: World) -> None:
        house, book = House.of(world), House.of(world).billing.book
        found = await of_three(world, other)
        before = {}

        async def note(who: Principal, number: str, net: str | None) -> Finalised:
            amount = None if net is None else Decimal(net)
            return await issue_credit_note(
                book, SystemClock(), ISSUER, who.tenant_id, number, net=amount, reason="outage"
            )

        for currency, (who, done) in found.items():
            number = str(done.number)
            before[currency] = await house.entries(who.tenant_id)
            notes = [await note(who, number, net) for net in ("33", "100", "7")]
            assert await void_invoice(book, who.tenant_id, str(notes[1].number), "mistaken")
            notes = [notes[0], notes[2], await note(who, number, "101")]
            notes.append(await note(who, number, None))
            sums: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 2)
            for each in notes:
                assert len(each.document["tax"]["parts"]) == 3
                nets = {
                    (part["rate"], part["label"]): Fraction(part["net"])
                    for part in each.document["tax"]["parts"]
                }
                billed = sum(Decimal(r["BilledCost"] or "") for r in focus_rows(each.document))
                assert billed == Decimal(each.document["due"])
                if each is not notes[-1]:
                    check(each.document, nets)
                for part in each.document["tax"]["parts"]:
                    at = sums[part["rate"], part["label"]]
                    sums[part["rate"], part["label"]] = [
                        at[0] + Decimal(part["net"]), at[1] + Decimal(part["amount"])
                    ]  # fmt: skip
            for part in done.document["tax"]["parts"]:
                assert sums[part["rate"], part["label"]] == [
                    -Decimal(part["net"]), -Decimal(part["amount"])
                ]  # fmt: skip
            assert sum(Decimal(each.document["total"]) for each in notes) == -Decimal(
                done.document["total"]
            )
            with pytest.raises(Conflict, match="nothing is left to credit"):
                await note(who, number, None)
            for each in notes:
                assert await is_made_again(house, who, each)
                assert await void_invoice(book, who.tenant_id, str(each.number), "mistaken")
            assert await house.entries(who.tenant_id) == before[currency]
            assert await void_invoice(book, who.tenant_id, number, "mistaken")
            again = await house.finalise(who, period_of(who, LAST))
            assert again.document["tax"] == done.document["tax"]
            assert again.document["lines"] == done.document["lines"]
            assert await house.entries(who.tenant_id) == before[currency]
            assert await is_made_again(house, who, again)
            assert await is_made_again(house, who, done)
        assert await world.violations() == []

    in_world(database, body)


def test_a_second_issue_of_the_period_is_the_one_that_holds(database: Database) -> None:
    """Its first invoice had a wrong rate, and is void; what was made between stays at that."""

    async def body(world: World) -> None:
        house, book = House.of(world), House.of(world).billing.book
        people = await begun(house, "EUR", OLD)
        for currency, who in people.items():
            usd = Fraction(OF_USD[currency])
            await house.used(who, USED, FIRST)
            wrong = await house.finalise(who, period_of(who, FIRST))
            await house.used(who, USED, FIRST, posted_at=await book.now())
            await house.used(who, USED, BEFORE)
            await taxed(house, who, currency, NEW)
            between = await house.finalise(who, period_of(who, BEFORE))
            check(between.document, {NEW: 450 * usd, OLD: 450 * usd})
            assert await void_invoice(book, who.tenant_id, str(wrong.number), "wrong tax")
            again = await house.finalise(who, period_of(who, FIRST))
            check(again.document, {NEW: 450 * usd})
            await taxed(house, who, currency, NEWER)
            await house.used(who, USED, FIRST, posted_at=await book.now())
            last = await house.finalise(who, period_of(who, LAST))
            check(last.document, {NEW: 450 * usd})
            for done in (wrong, between, again, last):
                assert await is_made_again(house, who, done)
        assert await world.violations() == []

    in_world(database, body)


def test_what_was_approved_before_is_taxed_as_it_was(database: Database) -> None:
    """Of the edition before: all of it at the contract's rate, and made again so."""

    async def body(world: World) -> None:
        house, book = House.of(world), House.of(world).billing.book
        people = await begun(house, "EUR", OLD)
        for currency, who in people.items():
            await house.used(who, USED, FIRST)
            await house.finalise(who, period_of(who, FIRST))
            await taxed(house, who, currency, NEW)
        for currency, who in people.items():
            await corrected(world, who, period_of(who, FIRST), "2")
            period = period_of(who, BEFORE)
            reading = await book.read(
                who.tenant_id, period, await book.close_ledger(who.tenant_id, period)
            )
            draft = draft_from(reading, ISSUER, Edition.PERIODS_TOLD)
            now = draft_from(reading, ISSUER)
            assert (draft["tax"]["rate"], now["tax"]["rate"]) == ("0.077", "0.19")
            await book.store_draft(who.tenant_id, period, draft, content_sha256(draft))
            done = await house.finalise(who, period)
            assert not any("tax" in line for line in done.document["lines"])
            check(done.document, {NEW: 450 * Fraction(OF_USD[currency])})
            assert await is_made_again(house, who, done)

    in_world(database, body)


def test_a_period_of_nothing_has_the_tax_of_its_close_or_where_no_contract_was_that_of_now(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house = House.of(world)
        anna, bert = world.anna, world.bert
        await house.plans_long_ago()
        await taxed(house, anna, "USD", NEW)
        for who in (anna, bert):
            await house.since(who, months_ago(2, day=2, now=NOW))
            assert (await house.finalise(who, period_of(who, BEFORE))).number is None
            await taxed(house, who, "USD", OLD)
            now = await house.billing.book.now()
            await house.used(who, USED, BEFORE, posted_at=now)
            await house.used(who, USED, LAST)
        made = [await house.finalise(who, period_of(who, LAST)) for who in (anna, bert)]
        check(made[0].document, {OLD: Fraction(450), NEW: Fraction(450)})
        check(made[1].document, {OLD: Fraction(900)})
        for who, done in zip((anna, bert), made, strict=True):
            assert await is_made_again(house, who, done)

    in_world(database, body)
