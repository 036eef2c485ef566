"""Statements and documents member by member: converted prices, minimums, zones of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tenantry.domain.agreement import Agreement
from tenantry.domain.billing import Statement, statement
from tenantry.domain.contract import Contract, ExchangeRate, Terms
from tenantry.domain.invoice import Made, document, draft_number, instant, period_json
from tenantry.domain.overage import overage_from
from tenantry.domain.party import Party
from tenantry.domain.period import billing_period
from tenantry.domain.proration import Days, civil_days, part_of
from tenantry.domain.usage_line import UsageLine

FIRST = date(2026, 1, 1)
NOVEMBER = billing_period(datetime(2026, 11, 5, tzinfo=UTC), "UTC", 1)
RATE = ExchangeRate(date(2026, 11, 1), "USD", "EUR", Decimal("0.5"), "ECB")


@pytest.fixture
def far_from_utc() -> Iterator[None]:
    """The machine's own zone, which nothing may ever depend on, is another."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def made(terms: Terms, *usage: UsageLine, currency: str = "USD") -> Statement:
    rates = (RATE,) if currency == "EUR" else ()
    return statement(Contract("UTC", (terms,), currency=currency, rates=rates), NOVEMBER, usage)


def test_a_converted_line_shows_its_converted_unit_price() -> None:
    priced = UsageLine("m", "out", 1_000_000, Decimal(30), Decimal(30))
    unpriced = UsageLine("m", "uncached_in", 1, Decimal(4))
    lines = {
        line.token_class: (line.per_million, line.amount)
        for line in made(Terms(FIRST, "p", Decimal(0)), priced, unpriced, currency="EUR").lines
    }
    assert lines == {"out": (Decimal(15), Decimal(15)), "uncached_in": (None, Decimal(2))}


@pytest.mark.parametrize(("used", "lacks"), [("9.25", "0.75"), ("10", None), ("9.99", "0.01")])
def test_a_minimum_is_filled_to_the_cent(used: str, lacks: str | None) -> None:
    terms = Terms(FIRST, "p", Decimal(0), minimum=Decimal(10))
    lines = made(terms, UsageLine("m", "out", 1, Decimal(used))).lines
    filled = [
        (line.description, format(line.amount, "f")) for line in lines if line.kind == "minimum"
    ]
    assert filled == ([] if lacks is None else [("Up to the minimum of plan p", lacks)])


def test_included_tokens_are_a_line_of_nothing_in_the_contracts_currency() -> None:
    overage = overage_from(
        "p", {"mode": "graduated", "included": 5, "steps": [{"per_million": "1000000"}]}
    )
    terms = Terms(FIRST, "p", Decimal(0), overage)
    for currency, nothing, rest in (("USD", "0.00", "2.00"), ("EUR", "0.00", "2.00")):
        lines = made(terms, UsageLine("m", "out", 7, Decimal(9)), currency=currency).lines
        shown = [(str(line.kind), line.quantity, format(line.amount, "f")) for line in lines]
        assert shown == [("included", 5, nothing), ("overage", 2, rest)]
    contract = Contract(
        "UTC",
        (terms,),
        currency="KWD",
        rates=(ExchangeRate(date(2026, 11, 1), "USD", "KWD", Decimal("0.3"), "CBK"),),
    )
    lines = statement(contract, NOVEMBER, [UsageLine("m", "out", 7, Decimal(9))]).lines
    assert [format(line.amount, "f") for line in lines] == ["0.000", "2.000"]


@pytest.mark.usefixtures("far_from_utc")
def test_no_document_depends_on_the_machines_zone() -> None:
    at = datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert instant(at) == "2026-12-31T23:00:00Z"
    period = billing_period(datetime(2026, 11, 5, tzinfo=UTC), "America/New_York", 1)
    assert draft_number(period, "America/New_York").endswith("2026-11-01")
    assert period_json(period, "America/New_York")["label"] == "2026-11-01 to 2026-11-30"


def test_a_document_without_an_issuer_or_a_rate_says_so() -> None:
    of = made(Terms(FIRST, "p", Decimal(1)))
    customer = Agreement(Party("Acme", (), None, None))
    shown = document(Made("tnt_acme", customer, "UTC", NOVEMBER, of, NOVEMBER.end))
    assert (shown["issuer"], shown["exchange_rate"], shown["issued_at"]) == (None, None, None)
    assert shown["lines"][0]["amount"] == "1.00"


@pytest.mark.parametrize(
    ("currency", "sums"),
    [
        ("JPY", ["1", "1", "2", "3", "1", "2"]),
        ("KWD", ["1.235", "1.235", "1.765", "3.000", "1.000", "2.000"]),
    ],
)
def test_every_sum_has_its_currencys_decimals(currency: str, sums: list[str]) -> None:
    rate = ExchangeRate(date(2026, 11, 1), "USD", currency, Decimal(1), "bank")
    terms = Terms(FIRST, "p", Decimal(0), minimum=Decimal(3))
    contract = Contract("UTC", (terms,), currency=currency, prepaid=Decimal(1), rates=(rate,))
    of = statement(contract, NOVEMBER, [UsageLine("m", "out", 1, Decimal("1.2345"))])
    usage = next(line.amount for line in of.lines if line.kind == "usage")
    shown = [usage, of.subtotal, of.true_up, of.total, of.credit, of.due]
    assert [format(amount, "f") for amount in shown] == sums
    assert of.currency == currency


def test_lines_of_one_model_and_class_stand_by_their_prices() -> None:
    rows = [
        UsageLine("m", "out", 1, Decimal(5), Decimal(price))
        if price
        else UsageLine("m", "out", 1, Decimal(5))
        for price in ("9", "2", None, "4")
    ]
    for given in (rows, rows[::-1]):
        lines = made(Terms(FIRST, "p", Decimal(0)), *given).lines
        assert [line.per_million for line in lines] == [None, Decimal(2), Decimal(4), Decimal(9)]


@pytest.mark.usefixtures("far_from_utc")
def test_civil_days_are_of_the_contracts_zone() -> None:
    period = billing_period(datetime(2026, 11, 5, tzinfo=UTC), "America/New_York", 1)
    assert civil_days(period, "America/New_York") == Days(date(2026, 11, 1), date(2026, 12, 1))
    with pytest.raises(AssertionError):
        part_of(1, Days(FIRST, FIRST), Days(FIRST, FIRST))
