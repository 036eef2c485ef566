"""Prices, a markup and rates of twelve decimals: charges of forty digits, to invoice and books."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from tests.support.billing import ISSUER, House, months_ago, period_of
from tests.support.ledger import MODEL, World, in_world, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.adapters.postgres.margin import PostgresMarginBooks
from tenantry.application.corrections import correct_prices
from tenantry.application.invoicing import issue_credit_note, regenerate, void_invoice
from tenantry.application.margin import margin_of
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import instant
from tenantry.domain.margin import MarginBy
from tenantry.domain.markup import Markup
from tenantry.domain.rating import rate
from tenantry.domain.shared_costs import SharedCosts
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.billing import Finalised

LAST, BEFORE = months_ago(1), months_ago(2)
MARKUP = Markup(Decimal("3.333333333333"))
RATES = {"GBP": Decimal("0.921319329279"), "JPY": Decimal("151.234567890123")}
USED = Usage(uncached_in=3_001, out=9)
STEPS = {"mode": "graduated", "included": 500, "steps": [{"per_million": "7.000000000001"}]}


async def sold(world: World, **plan: Any) -> House:
    """Both tenants under a plan of 12 decimals; anna's contract is in pounds, bert's in yen."""
    house = House.of(world)
    world.prices = await world.control.import_prices(synthetic_prices(Decimal("1.01234567")))
    await world.plan(markup=str(MARKUP.default), monthly_fee="10.000000000001", **plan)
    await house.plans_long_ago()
    for currency, of_usd in RATES.items():
        await house.billing.contracts.add_rate(
            ExchangeRate(date(2020, 1, 1), "USD", currency, of_usd, "simulated")
        )
    for who, currency in ((world.anna, "GBP"), (world.bert, "JPY")):
        await house.contract(who, currency=currency, tax_rate=Decimal("0.081234"))
        await house.since(who, months_ago(2, day=1))
    return house


async def used(
    house: House, who: Principal, at: datetime, posted_at: datetime | None = None
) -> None:
    rated = rate(USED, house.world.prices.of(MODEL), tier="default", markup=MARKUP)
    await house.used(who, USED, at, posted_at=posted_at, rated=rated)


async def is_made_again(house: House, who: Principal, made: Finalised) -> bool:
    stored = await house.billing.book.document(who.tenant_id, str(made.number))
    return (await regenerate(house.billing.book, who.tenant_id, stored)).same


@pytest.mark.parametrize("plan", [{}, {"overage": STEPS}, {"minimum": "40.123456789012"}])
def test_invoices_of_long_charges_are_final_and_the_books_are_exact(
    database: Database, plan: dict[str, Any]
) -> None:
    async def body(world: World) -> None:
        house = await sold(world, **plan)
        for who in (world.anna, world.bert):
            await used(house, who, BEFORE)
            june = await house.finalise(who, period_of(who, BEFORE))
            await used(house, who, LAST)
            await used(house, who, BEFORE, posted_at=datetime.now(UTC))  # settled late
            july = await house.finalise(who, period_of(who, LAST))
            assert "adjustment" in [line["kind"] for line in july.document["lines"]]
            for made in (june, july):
                await hold(house, who, made)
        assert await world.violations() == []

    in_world(database, body)


async def hold(house: House, who: Principal, made: Finalised) -> None:
    """Its postings take out of `receivable_unbilled` what it holds of the ledger, exactly."""
    rows = await house.world.fetch(
        "SELECT e.debit, e.credit, e.amount FROM billing_entry e JOIN invoice i"
        " ON i.tenant_id = e.tenant_id AND i.posting_id = e.posting_id"
        " WHERE i.number = $1 AND e.currency = i.currency",
        made.number,
    )
    moved = {account: Fraction() for row in rows for account in (row["debit"], row["credit"])}
    for row in rows:
        moved[row["debit"]] += Fraction(row["amount"])
        moved[row["credit"]] -= Fraction(row["amount"])
    assert moved.pop("receivable_unbilled") == 0
    assert moved["receivable"] == Fraction(made.document["due"])
    [held] = await house.world.fetch(
        "SELECT sum(u.charge) AS charge FROM invoice_usage u JOIN invoice i"
        " ON i.tenant_id = u.tenant_id AND i.invoice_id = u.invoice_id WHERE i.number = $1",
        made.number,
    )
    of_usd = RATES[made.document["currency"]]
    assert moved["exchange"] == -Fraction(held["charge"]) * Fraction(of_usd)
    assert await is_made_again(house, who, made)
    rows_of = focus_rows(made.document)
    for row, line in zip(rows_of, made.document["lines"], strict=False):
        assert Fraction(row["ListCost"] or "") == Fraction(line["charge"])


def test_voids_credit_notes_corrections_and_the_margin_of_long_charges_are_exact(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house = await sold(world)
        book, contracts = house.billing.book, house.billing.contracts
        for who in (world.anna, world.bert):
            await contracts.grant_credit(who.tenant_id, Decimal(5), "ahead")
            await used(house, who, BEFORE)
            june = await house.finalise(who, period_of(who, BEFORE))
            await void_invoice(book, who.tenant_id, str(june.number), "wrong address")
            again = await house.finalise(who, period_of(who, BEFORE))
            assert again.document["lines"] == june.document["lines"]
            await issue_credit_note(
                book, SystemClock(), ISSUER, who.tenant_id, str(again.number), net=Decimal(3),
                reason="outage",
            )  # fmt: skip
        right = await world.control.import_prices(synthetic_prices(Decimal("1.1")))
        for who in (world.anna, world.bert):
            done = await correct_prices(
                PostgresCorrections(world.databases.control), who.tenant_id, months_ago(3),
                datetime.now(UTC), wrong=world.prices.version, right=right,
            )  # fmt: skip
            assert (done.attempts, Fraction(done.charge)) == (
                1, Fraction(done.cost) * Fraction(MARKUP.default)
            )  # fmt: skip
            july = await house.finalise(who, period_of(who, LAST))
            await hold(house, who, july)
        books = PostgresMarginBooks(world.databases.operator)
        costs = SharedCosts(
            fee_rate=Decimal("0.029"),
            usd_per={name: Decimal("1.234567890123") for name in RATES},
        )
        span = (months_ago(3), datetime.now(UTC))
        report = await margin_of(books, *span, MarginBy.TENANT, costs)
        assert len(report.rows) == 2
        for row in (*report.rows, report.total):
            spent = (row.provider_cost, row.waste, row.shared, row.fees)
            expected = Fraction(row.revenue) - sum(map(Fraction, spent))
            assert Fraction(row.contribution) == expected
        parts = sum(Fraction(row.contribution) for row in report.rows)
        assert Fraction(report.total.contribution) == parts
        assert await world.violations() == []

    in_world(database, body)


def test_a_row_that_was_posted_rounded_is_told_of_and_mended_by_a_void(
    database: Database,
) -> None:
    """As a version before wrote it: the 28th digit was its last."""

    async def body(world: World) -> None:
        house = await sold(world, overage=STEPS)
        for who in (world.anna, world.bert):
            await used(house, who, LAST)
            await house.finalise(who, period_of(who, BEFORE))
        made = await house.finalise(world.anna, period_of(world.anna, LAST))
        other = await house.finalise(world.bert, period_of(world.bert, LAST))
        await house.as_the_past(
            "UPDATE tenantry.billing_entry SET amount = amount + 4e-32"
            f" WHERE kind = 'allowance' AND tenant_id = '{world.anna.tenant_id}'"
        )
        [told] = await world.violations()
        assert told.invariant == "charges_and_adjustments_equal_invoiced_and_unbilled"
        assert str(world.anna.tenant_id) in told.detail
        await void_invoice(house.billing.book, world.anna.tenant_id, str(made.number), "rounded")
        again = await house.finalise(world.anna, period_of(world.anna, LAST))
        assert again.document["lines"] == made.document["lines"]
        assert await world.violations() == []
        assert await is_made_again(house, world.bert, other)

    in_world(database, body)


def test_the_starts_of_adjusted_periods_are_spelt_as_all_instants_and_old_ones_stay(
    database: Database,
) -> None:
    async def body(world: World) -> None:
        house, anna = await sold(world), world.anna
        began = str(instant(period_of(anna, BEFORE).start))
        assert began.endswith("Z")
        made = []
        for who in (anna, world.bert):
            await used(house, who, BEFORE)
            await house.finalise(who, period_of(who, BEFORE))
            await used(house, who, BEFORE, posted_at=datetime.now(UTC))
            made.append(await house.finalise(who, period_of(who, LAST)))
            assert made[-1].document["references"] == {"adjusts": [began]}
            assert await is_made_again(house, who, made[-1])
        first = began.replace("Z", "+00:00")  # as the first invoices have it
        for before, spelt, same in ((began, first, True), (first, f"{began}!", False)):
            await house.as_the_past(_respelt(before, spelt, anna))
            stored = await house.billing.book.document(anna.tenant_id, str(made[0].number))
            assert json.loads(stored.document)["references"] == {"adjusts": [spelt]}
            assert await is_made_again(house, anna, made[0]) is same
        assert await is_made_again(house, world.bert, made[1])

    in_world(database, body)


def _respelt(start: str, spelt: str, who: Principal) -> str:
    words = (f'"adjusts":["{each}"]' for each in (start, spelt))
    document = "convert_to(replace(convert_from(document, 'UTF8'), '{}', '{}'), 'UTF8')"
    made = document.format(*words)
    return (
        f"UPDATE tenantry.invoice SET document = {made}, sha256 = pg_catalog.sha256({made})"
        f" WHERE tenant_id = '{who.tenant_id}'"
    )
