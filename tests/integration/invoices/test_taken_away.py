"""A final invoice of the real database on paper and in FOCUS, and what it does to the margin."""

from decimal import Decimal

import pypdfium2
import pytest
from tests.support.billing import ISSUER, House, months_ago, period_of
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.paper.typesetter import Typesetter
from tenantry.adapters.postgres.margin import PostgresMarginBooks
from tenantry.application.invoice_lists import get_invoice
from tenantry.application.invoicing import issue_credit_note, void_invoice
from tenantry.application.margin import margin_of
from tenantry.domain.focus import FocusError, focus_rows
from tenantry.domain.margin import MarginBy, MarginReport
from tenantry.domain.shared_costs import SharedCosts
from tenantry.domain.usage import Usage

LAST = months_ago(1)
CHARGE = Decimal("31.5")  # of 1,000,000 in and 500,000 out: cost 10.50, times 3
USED = Usage(uncached_in=1_000_000, out=500_000)


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def test_final_credited_and_void_documents_are_printed_and_exported(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna, press = House.of(world), world.anna, Typesetter()
        await house.contract(anna, tax_rate=Decimal("0.1"))
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, USED, LAST)
        done = await house.finalise(anna, period_of(anna, LAST))
        number, book = str(done.number), house.billing.book

        async def shown(which: str) -> dict[str, object]:
            now = await book.now()
            found = await get_invoice(house.billing.invoices, anna.tenant, which, now, ISSUER)
            return dict(found)

        text = text_of(press.render(await shown(number)))
        for words in (number, "anna Corp.", "Lumen Notes, Inc.", "1,000,000", "34.65 USD",
                      "Wire to First Bank"):  # fmt: skip
            assert words in text
        billed = [Decimal(row["BilledCost"] or "") for row in focus_rows(await shown(number))]
        assert sum(billed) == Decimal("34.65")

        note = await issue_credit_note(book, SystemClock(), ISSUER, anna.tenant_id, number,
                                       net=Decimal(10), reason="Outage")  # fmt: skip
        credited = await shown(str(note.number))
        assert "11.00 USD" in text_of(press.render(credited))
        rows = focus_rows(credited)
        assert {row["ChargeClass"] for row in rows} == {"Correction"}
        assert sum(Decimal(row["BilledCost"] or "") for row in rows) == -11

    in_world(database, body)


def test_what_goes_back_to_the_prepaid_credit_is_printed_and_exported(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna, press = House.of(world), world.anna, Typesetter()
        await house.contract(anna)
        await house.billing.contracts.grant_credit(anna.tenant_id, Decimal(30), "promo")
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, USED, LAST)
        done = await house.finalise(anna, period_of(anna, LAST))  # 30 paid ahead, 1.50 due
        number, book = str(done.number), house.billing.book
        note = await issue_credit_note(book, SystemClock(), ISSUER, anna.tenant_id, number,
                                       net=Decimal(10), reason="Outage")  # fmt: skip
        text = text_of(press.render(note.document))
        for words in ("Given back to prepaid credit", "8.50", "1.50 USD"):
            assert words in text
        rows = focus_rows(note.document)
        assert {row["ChargeClass"] for row in rows} == {"Correction"}
        [returned] = [
            row for row in rows if row["x_LineKind"] == "credit" and row["BilledCost"] == "8.5"
        ]
        assert (returned["ChargeCategory"], returned["ChargeDescription"]) == (
            "Credit", "Given back to prepaid credit",
        )  # fmt: skip
        assert sum(Decimal(row["BilledCost"] or "") for row in rows) == Decimal("-1.5")

    in_world(database, body)


def test_what_invoices_add_is_revenue_until_they_are_void(database: Database) -> None:
    async def body(world: World) -> None:
        await world.plan(monthly_fee="99")
        house, anna, bert = House.of(world), world.anna, world.bert
        for who in (anna, bert):
            await house.contract(who)
        await house.plans_long_ago()
        for who in (anna, bert):
            await house.since(who, months_ago(1, day=1))
            await house.used(who, USED, LAST)
        period = period_of(anna, LAST)

        async def told(by: MarginBy) -> MarginReport:
            books = PostgresMarginBooks(world.databases.operator)
            return await margin_of(books, period.start, period.end, by, SharedCosts())

        done = await house.finalise(anna, period)
        assert Decimal(done.document["total"]) == 99 + CHARGE
        revenue = {row.name: row.revenue for row in (await told(MarginBy.TENANT)).rows}
        assert revenue == {"anna": 99 + CHARGE, "bert": CHARGE}
        groups = {row.name: row.revenue for row in (await told(MarginBy.MODEL)).rows}
        assert groups == {"synthetic": 2 * CHARGE, "(plans)": 99}

        await void_invoice(house.billing.book, anna.tenant_id, str(done.number), "wrong address")
        assert (await told(MarginBy.TENANT)).total.revenue == 2 * CHARGE
        stored = await house.billing.book.document(anna.tenant_id, str(done.number))
        assert stored.status == "void"
        void = await get_invoice(house.billing.invoices, anna.tenant, str(done.number),
                                 await house.billing.book.now(), ISSUER)  # fmt: skip
        assert "VOID" in text_of(Typesetter().render(void))
        with pytest.raises(FocusError, match="void"):
            focus_rows(void)

    in_world(database, body)
