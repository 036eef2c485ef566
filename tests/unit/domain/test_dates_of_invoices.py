"""Dates, days and plans of a document, in its zone, and which percentage its tax line names."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.support.invoices import an_invoice

from tenantry.adapters.stripe.items import to_stripe
from tenantry.domain.agreement import Agreement, AgreementError, check_tax
from tenantry.domain.billing import statement
from tenantry.domain.contract import Contract, Terms
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import Made, document
from tenantry.domain.invoice_edition import PRESENT, Edition, edition_of
from tenantry.domain.invoice_parties import tax_words
from tenantry.domain.invoice_sheet import sheet_of
from tenantry.domain.party import Party
from tenantry.domain.period import billing_period

ZONES = ("America/New_York", "Europe/Zurich")


def made(zone: str, issued_at: datetime, **changes: Any) -> Made:
    period = billing_period(datetime(2026, 10, 15, tzinfo=UTC), zone, 1)
    terms = changes.pop("terms", (Terms(date(2026, 1, 1), "pro", Decimal(31)),))
    agreement = Agreement(Party("Acme"), **changes.pop("agreed", {}))
    contract = Contract(zone, terms, currency=agreement.currency, ends=agreement.ends_on)
    of = statement(contract, period, [])
    given: dict[str, Any] = {"number": "INV-1", **changes}
    return Made("tnt_1", agreement, zone, period, of, issued_at, issued_at=issued_at, **given)


@pytest.mark.parametrize(
    ("zone", "issued", "due"),
    [  # both count 30 days over the end of summer time, at half past eleven at night
        (ZONES[0], "2026-10-06T03:30:00Z", "2026-11-05T04:30:00Z"),
        (ZONES[1], "2026-10-05T21:30:00Z", "2026-11-04T22:30:00Z"),
    ],
)
def test_days_to_pay_are_civil_days_over_a_change_of_clocks(
    zone: str, issued: str, due: str
) -> None:
    shown = document(made(zone, datetime.fromisoformat(issued)))
    assert (shown["issue_zone"], shown["due_at"]) == (zone, due)
    facts = dict(sheet_of(shown)["facts"])
    assert (date.fromisoformat(facts["Due"]) - date.fromisoformat(facts["Date"])).days == 30
    of = made(zone, datetime.fromisoformat(issued), edition=Edition.PRICES_TOLD)
    before = document(of)
    assert "issue_zone" not in before and edition_of(shown) is PRESENT
    assert datetime.fromisoformat(before["due_at"]) != datetime.fromisoformat(due)


def test_plans_that_held_for_no_day_are_not_named() -> None:
    versions = [
        {"plan": plan, "version": 1, "from": day}
        for plan, day in (
            ("old", "2026-09-20"), ("base", "2026-10-01"), ("a", "2026-10-11"),
            ("b", "2026-10-11"), ("c", "2026-10-11"), ("gone", "2026-10-25"),
        )
    ]  # fmt: skip
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    agreed = {"ends_on": date(2026, 10, 25)}
    for zone in ZONES:
        shown = document(made(zone, at, plan_versions=versions, agreed=agreed))
        assert [each["plan"] for each in shown["plan_versions"]] == ["base", "c"]
        before = document(
            made(zone, at, plan_versions=versions, agreed=agreed, edition=Edition.PRICES_TOLD)
        )
        assert before["plan_versions"] == versions


@pytest.mark.parametrize("zone", ZONES)
def test_a_fee_of_some_days_is_charged_for_those_days(zone: str) -> None:
    terms = (
        Terms(date(2026, 1, 1), "pro", Decimal(31)),
        Terms(date(2026, 10, 11), "big", Decimal(62)),
    )
    shown = document(made(zone, datetime(2026, 11, 2, tzinfo=UTC), terms=terms))
    offset = {ZONES[0]: "04:00:00Z", ZONES[1]: "22:00:00Z"}[zone]
    start, end = shown["period"]["start"], shown["period"]["end"]
    changed = f"2026-10-{'11' if zone == ZONES[0] else '10'}T{offset}"
    spans = [(start, end), (changed, end), (changed, end)]
    rows = focus_rows(shown)
    assert [(row["ChargePeriodStart"], row["ChargePeriodEnd"]) for row in rows] == spans
    assert {row["BillingPeriodStart"] for row in rows} == {start}
    for line in shown["lines"]:
        line.pop("period")  # as of before
    assert {row["ChargePeriodStart"] for row in focus_rows(shown)} == {start}


@pytest.mark.parametrize(
    ("label", "rate"),
    [
        ("Sales tax", "0.07"),
        ("Sales tax 7 %", "0.07"),
        ("USt. 8,25%", "0.0825"),
        ("GST 5 % + QST 9.975 %", "0.14975"),
        ("Tax of 2026, in %", "0.07"),
    ],
)
def test_a_label_without_a_percentage_or_with_its_rates_is_taken(label: str, rate: str) -> None:
    check_tax(Agreement(Party("Acme"), tax_label=label, tax_rate=Decimal(rate)))


@pytest.mark.parametrize("label", ["Sales tax 8.25 %", "USt. 19%", "0 % tax", "7 % and 1 %"])
def test_a_label_of_another_rate_is_refused(label: str) -> None:
    with pytest.raises(AgreementError, match="and tax_rate is 7 %"):
        check_tax(Agreement(Party("Acme"), tax_label=label, tax_rate=Decimal("0.07")))


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("Sales tax", "Sales tax 7 %"),
        ("Sales tax 7.0 %", "Sales tax 7.0 %"),
        ("Sales tax 8.25 %", "Sales tax 8.25 %, charged at 7 %"),
        ("In %", "In % 7 %"),
    ],
)
def test_the_tax_line_always_names_what_was_charged(label: str, words: str) -> None:
    assert tax_words({"label": label, "rate": "0.07", "amount": "1.00"}) == words


def test_stripes_tax_item_has_the_words_of_the_paper_and_an_old_one_keeps_its_own() -> None:
    """One that is half there is sent again with the same words."""
    for body, words in (
        (an_invoice(issue_zone="Europe/Zurich"), "MWST 8.1 %"),
        (an_invoice(), "MWST"),
    ):
        items = {item.key: item.description for item in to_stripe(body).items}
        assert items["tax"] == words
