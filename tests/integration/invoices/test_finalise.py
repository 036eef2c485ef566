"""Making an invoice final on the real database: the arithmetic, the books, what blocks it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.support.billing import ISSUER, House, both_invoiced, months_ago, period_of
from tests.support.ledger import World, in_world, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.application import invoice_lists
from tenantry.application.invoice_lists import get_invoice, list_invoices
from tenantry.application.invoicing import finalise_invoice, regenerate, store_for_review
from tenantry.domain.contract import ExchangeRate
from tenantry.domain.errors import BadRequest, Conflict, NotFound
from tenantry.domain.party import Issuer
from tenantry.domain.period import Span
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome

USED = Usage(uncached_in=1_000, out=500)  # charge .0315
LAST = months_ago(1)


def test_an_invoice_takes_its_periods_usage_once_and_the_books_agree(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        for who in (anna, bert):
            await house.contract(who, tax_rate=Decimal("0.1"))
            await house.since(who, months_ago(1, day=1))
        for _ in range(3):
            await house.used(anna, Usage(uncached_in=1_000_000, out=500_000), LAST)
        await house.used(bert, USED, LAST)
        await world.settle(await world.admitted(anna), world.outcome(USED))  # of this month
        period = period_of(anna, LAST)
        done = await house.finalise(anna, period)
        assert done.number == f"INV-{datetime.now(UTC).year}-000001"
        lines = [
            (line["quantity"], line["unit_price"], line["amount"])
            for line in done.document["lines"]
        ]
        assert lines == [(1_500_000, "45", "67.50"), (3_000_000, "9", "27.00")]
        assert (done.document["total"], done.document["tax"]["amount"]) == ("103.95", "9.45")
        assert await house.entries(anna.tenant_id) == {
            ("receivable_unbilled", "USD"): Decimal("-94.5"),
            ("receivable", "USD"): Decimal("103.95"),
            ("tax_payable", "USD"): Decimal("-9.45"),
        }
        assert await house.entries(bert.tenant_id) == {}
        with pytest.raises(Conflict, match=f"{done.number} is the final invoice"):
            await house.finalise(anna, period)
        assert await house.numbers() == [done.number]
        # Its owner reads it; for another tenant it is not there.
        stored = await house.billing.invoices.document(anna.tenant_id, str(done.number))
        assert json.loads(stored.document) == done.document
        with pytest.raises(NotFound):
            await house.billing.invoices.document(bert.tenant_id, str(done.number))
        [notice] = await world.fetch("SELECT tenant_id, kind, body FROM notice")
        assert (notice["tenant_id"], notice["kind"]) == (anna.tenant_id, "invoice.finalised")
        assert json.loads(notice["body"])["sha256"] == done.sha256

    in_world(database, body)


def test_what_a_tenant_lists_are_its_drafts_and_its_final_documents(database: Database) -> None:
    async def body(world: World) -> None:
        mine, other = await both_invoiced(world)
        invoices, tenant = House.of(world).billing.invoices, world.anna.tenant
        now = datetime.now(UTC)
        listed = await list_invoices(invoices, tenant, now, ISSUER)
        assert [(row["status"], row["kind"]) for row in listed] == [
            ("draft", "invoice"),
            ("final", "invoice"),
        ]
        assert (listed[1]["number"], listed[1]["total"]) == (mine.number, "31.50")
        assert other.number not in str(listed)
        for row in listed:
            assert (await get_invoice(invoices, tenant, row["number"], now, ISSUER))["lines"] or (
                row["status"] == "draft"
            )
        for number in (str(other.number), "draft-2020-01-01", "draft-x", "INV-1"):
            with pytest.raises(NotFound):
                await get_invoice(invoices, tenant, number, now, ISSUER)
        assert await list_invoices(invoices, tenant, now, ISSUER, before=mine.number) == []

    in_world(database, body)


def test_a_period_that_is_not_over_or_not_the_next_is_refused(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.since(anna, months_ago(2, day=1))
        await house.used(anna, USED, LAST)
        with pytest.raises(Conflict, match="The period ends at"):
            await house.finalise(anna, period_of(anna, datetime.now(UTC)))
        with pytest.raises(Conflict, match="comes first"):
            await house.finalise(anna, period_of(anna, LAST))
        first = period_of(anna, months_ago(2))
        longer = Span(first.start, first.end + timedelta(hours=1))  # by other time zones
        with pytest.raises(Conflict, match="by the database's time zones"):
            await house.finalise(anna, longer)
        # A period of nothing is closed without a document.
        assert (await house.finalise(anna, period_of(anna, months_ago(2)))).number is None
        assert (await house.finalise(anna, period_of(anna, LAST))).number is not None

    in_world(database, body)


def test_what_is_open_unknown_or_quarantined_blocks_and_is_named(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.contract(world.bert)
        for who in (anna, world.bert):
            await house.since(who, months_ago(1, day=1))
        await house.used(anna, USED, LAST)
        await house.used(world.bert, USED, LAST)
        period = period_of(anna, LAST)
        running = await world.admitted(anna)
        await house.move(running.request_id, LAST)
        with pytest.raises(Conflict, match=f"1 requests .* {running.request_id}/0:1 dispatched"):
            await house.finalise(anna, period)
        await world.settle(running, AttemptOutcome(0, 1, "unknown"))
        with pytest.raises(Conflict, match=f"{running.request_id}/0:1 unknown"):
            await house.finalise(anna, period)
        reason = "unpriced: image has no price"
        await world.settle(running, AttemptOutcome(0, 1, "unknown", quarantined=reason))
        with pytest.raises(Conflict, match=f"quarantined: {reason}"):
            await house.finalise(anna, period)
        assert (await house.finalise(world.bert, period)).number is not None
        await world.settle(running, world.outcome(USED))
        await house.move(running.request_id, LAST)
        assert (await house.finalise(anna, period)).document["lines"][0]["quantity"] == 1_000

    in_world(database, body)


def test_without_issuer_contract_address_or_rate_nothing_is_final(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        contracts, book = house.billing.contracts, house.billing.book
        period = period_of(anna, LAST)
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, USED, LAST)

        async def refused(said: str, issuer: Issuer | None = ISSUER) -> None:
            with pytest.raises(Conflict, match=said):
                await finalise_invoice(book, SystemClock(), issuer, anna.tenant_id, period)
            assert await house.numbers() == []
            assert await house.entries(anna.tenant_id) == {}

        async def troubles() -> list[bool]:
            now = datetime.now(UTC)
            drafts = await list_invoices(house.billing.invoices, anna.tenant, now, None)
            return [row.get("trouble") is not None for row in drafts]

        await refused("anna has no contract with a billing address")
        agreement = await house.contract(anna)
        bare = replace(agreement, customer=replace(agreement.customer, address=()))
        await house.agree(anna, bare)
        await refused("no contract with a billing address")
        with pytest.raises(BadRequest, match="No rate from USD to EUR is known"):
            await house.contract(anna, currency="EUR")
        late = ExchangeRate(date(2999, 1, 1), "USD", "EUR", Decimal(2), "ECB")
        await contracts.add_rate(late)
        await house.contract(anna, currency="EUR")
        assert await troubles() == [True, True]
        await refused("No rate from USD to EUR is known")
        rate = ExchangeRate(date(2020, 1, 1), "USD", "EUR", Decimal("0.5"), "ECB")
        await contracts.add_rate(rate)
        await contracts.add_rate(rate)
        with pytest.raises(Conflict, match="never changed"):
            await contracts.add_rate(replace(rate, rate=Decimal(1)))
        await refused("No issuer is set", None)
        assert await troubles() == [False, False]
        done = await house.finalise(anna, period)
        assert done.document["exchange_rate"]["rate"] == "0.5"
        assert [line["charge"] for line in done.document["lines"]] == ["0.01125", "0.0045"]

    in_world(database, body)


def test_invoices_in_currencies_of_other_decimals(database: Database) -> None:
    """16.44 USD of list charges: a line is rounded once, after its conversion."""
    given = {"JPY": ("150", "2466"), "KWD": ("0.3", "4.932")}

    async def body(world: World) -> None:
        house = House.of(world)
        for who, (currency, (rate, total)) in zip(
            (world.anna, world.bert), given.items(), strict=True
        ):
            known = ExchangeRate(date(2020, 1, 1), "USD", currency, Decimal(rate), "central bank")
            await house.billing.contracts.add_rate(known)
            await house.contract(who, currency=currency)
            await house.since(who, months_ago(1, day=1))
            await house.used(who, Usage(uncached_in=1_826_667), LAST)  # at 9 a million
            done = await house.finalise(who, period_of(who, LAST))
            assert done.document["total"] == total
            assert done.document["currency"] == currency
            converted = Decimal("16.440003") * Decimal(rate)
            assert await house.entries(who.tenant_id) == {
                ("receivable_unbilled", "USD"): Decimal("-16.440003"),
                ("exchange", "USD"): Decimal("16.440003"),
                ("exchange", currency): -converted,
                ("revenue_rounding", currency): converted - Decimal(total),
                ("receivable", currency): Decimal(total),
            }

    in_world(database, body)


def test_an_invoice_comes_out_the_same_after_all_has_changed(database: Database) -> None:
    """Later events, prices, plans, contracts, rates, credit and a void: the same bytes."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.billing.contracts.add_rate(
            ExchangeRate(date(2020, 1, 1), "USD", "EUR", Decimal("0.9"), "ECB")
        )
        await house.contract(anna, tax_rate=Decimal("0.0825"), currency="EUR")
        await house.billing.contracts.grant_credit(anna.tenant_id, Decimal(5), "ahead")
        await house.since(anna, months_ago(2, day=1))
        before = months_ago(2)
        early = await house.used(anna, USED, before)
        first = await house.finalise(anna, period_of(anna, before))
        late = await house.used(anna, Usage(out=7), LAST)
        await house.used(anna, USED, before, posted_at=datetime.now(UTC))  # settled late
        second = await house.finalise(anna, period_of(anna, LAST))
        assert [line["kind"] for line in second.document["lines"]] == [
            "usage",
            "adjustment",
            "adjustment",
        ]

        async def again() -> None:
            for done in (first, second):
                stored = await house.billing.book.document(anna.tenant_id, str(done.number))
                made = await regenerate(house.billing.book, anna.tenant_id, stored)
                assert made.same, (json.loads(made.document), done.document)
                assert stored.sha256 == done.sha256

        await again()
        for request_id in (early, late):
            await _copies(house, request_id, 5_000)
        await world.control.import_prices(synthetic_prices(Decimal(2)))
        await world.plan(monthly_fee="77", minimum="1000")
        await house.contract(anna, currency="EUR", tax_rate=Decimal("0.2"), payment_days=1)
        day = (LAST - timedelta(days=20)).date()
        await house.billing.contracts.add_rate(
            ExchangeRate(day, "USD", "EUR", Decimal(7), "somebody else")
        )
        await house.billing.contracts.grant_credit(anna.tenant_id, Decimal(500), "more")
        await again()
        await house.billing.book.void(anna.tenant_id, str(first.number), "to see")
        await again()
        await house.finalise(anna, period_of(anna, before))
        await again()

    in_world(database, body)


async def _copies(house: House, request_id: Any, count: int) -> None:
    """So many further events like one that is there, in both books, posted now."""
    tables = await house.world.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'tenantry'::regnamespace"
        " AND relname IN ('cost_entry', 'charge_entry', 'attempt') AND relkind IN ('r', 'p')"
    )
    for (table,) in tables:
        posted = "" if table == "attempt" else ", 'posted_at', clock_timestamp()"
        await house.as_the_past(
            f"INSERT INTO tenantry.{table} SELECT (jsonb_populate_record(e, jsonb_build_object("
            f"'request_id', md5(n || '{request_id}')::uuid{posted}))).*"
            f" FROM tenantry.{table} e, generate_series(1, {count}) n"
            f" WHERE e.request_id = '{request_id}'"
        )


def test_a_draft_under_review_is_approved_by_its_hash(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        await house.contract(anna)
        await house.since(anna, months_ago(1, day=1))
        await house.used(anna, USED, LAST)
        period = period_of(anna, LAST)
        tally = await house.run(mode="review")
        assert tally.review == 1
        draft = await house.billing.book.draft(anna.tenant_id, period)
        assert draft is not None
        [run] = await house.billing.book.runs(anna.tenant_id, None, 10)
        assert (run["outcome"], run["detail"]) == ("review", draft.content_sha256)
        assert (await house.run(mode="review")).review == 0  # it waits for a person
        with pytest.raises(Conflict, match="has changed since it was approved"):
            await house.finalise(anna, period, approved_sha256="0" * 64)
        await house.used(anna, Usage(out=1), LAST)
        with pytest.raises(Conflict, match="has changed since it was approved"):
            await house.finalise(anna, period)
        assert await house.numbers() == []
        await house.run(mode="automatic")
        assert (await house.billing.book.runs(anna.tenant_id, "trouble", 10)) != []
        again = await store(house, anna.tenant_id, period)
        done = await house.finalise(anna, period, approved_sha256=again)
        assert done.number is not None
        assert await house.billing.book.draft(anna.tenant_id, period) is None

    in_world(database, body)


async def store(house: House, tenant_id: Any, period: Any) -> str:
    await store_for_review(house.billing.book, ISSUER, tenant_id, period)
    draft = await house.billing.book.draft(tenant_id, period)
    assert draft is not None
    return draft.content_sha256


def test_the_period_of_a_day_is_the_databases(database: Database) -> None:
    """Where its time zones are of another age than this program's, its months are invoiced."""

    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        book, day = house.billing.book, LAST.date()
        for who in (anna, bert):
            await house.contract(who)
            await house.since(who, months_ago(1, day=1))
            await house.used(who, USED, LAST)
        await house.as_the_past(
            "UPDATE tenantry.billing_account SET period_start = period_start - interval '1 hour',"
            f" period_end = period_end - interval '1 hour' WHERE tenant_id = '{anna.tenant_id}'"
        )
        theirs = await book.next_period(anna.tenant_id)
        known = period_of(anna, LAST)
        assert await invoice_lists.period_of(book, anna.tenant, day) == theirs != known
        assert await invoice_lists.period_of(book, bert.tenant, day) == known
        made = [await house.finalise(anna, theirs), await house.finalise(bert, known)]
        assert len({each.document["period"]["label"] for each in made}) == 1
        with pytest.raises(NotFound):
            await invoice_lists.period_of(book, anna.tenant, date.max)

    in_world(database, body)


_EARLIER = """
ALTER FUNCTION tenantry.midnight(date, text) RENAME TO midnight_of_today;
CREATE FUNCTION tenantry.midnight(p_day date, p_zone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  SELECT tenantry.midnight_of_today(p_day, p_zone)
    - CASE p_zone WHEN 'Africa/Casablanca' THEN interval '1 hour' ELSE interval '0' END
$$;
UPDATE tenantry.tenant SET zone = 'UTC' WHERE name = 'bert';
"""
_ACCOUNT = """
UPDATE tenantry.billing_account SET period_start = period_start + interval '{hours} hours',
  period_end = period_end + interval '{hours} hours' WHERE tenant_id = '{tenant}';
"""


def test_drafts_and_usage_have_the_databases_months(database: Database) -> None:
    """Whoever sums drafts and usage by Python's months counts an hour twice, or never."""

    async def body(world: World) -> None:
        house, anna = House.of(world), world.anna
        bert = replace(world.bert, tenant=replace(world.bert.tenant, zone="UTC"))
        await house.as_the_past(_EARLIER)
        for who, hours in ((anna, 1), (bert, 0)):
            now = datetime.now(UTC)
            moved = timedelta(hours=hours)
            usual = period_of(who, now + moved)  # also in a month's last hour
            await house.contract(who)
            await house.since(who, months_ago(1, day=10, now=usual.start + timedelta(days=14)))
            await house.as_the_past(_ACCOUNT.format(hours=-hours, tenant=who.tenant_id))
            edge = usual.start - moved  # the first instant of the month, by the database
            assert await world.ledger.period(who) == Span(edge, usual.end - moved)
            await house.used(who, USED, edge)
            running, last = await list_invoices(house.billing.invoices, who.tenant, now, ISSUER)
            assert (running["total"], last["total"]) == ("0.03", "0.00"), who.tenant.name
            shown = await get_invoice(
                house.billing.invoices, who.tenant, running["number"], now, ISSUER
            )
            assert (shown["total"], shown["period"]) == ("0.03", running["period"])
        # The account keeps the end that the rules had when its period began: no hour is in two.
        await house.as_the_past(_ACCOUNT.format(hours=1, tenant=anna.tenant_id))
        found = await list_invoices(house.billing.invoices, anna.tenant, now, ISSUER)
        is_over = period_of(anna, now + timedelta(hours=1)).start <= now  # not in its last hour
        totals = [row["total"] for row in found]
        assert totals == (["0.00", "0.03"] if is_over else ["0.03"])

    in_world(database, body, zone="Africa/Casablanca")
