"""A fee that changes within a period, by civil days, in any zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.billing import Statement, statement
from tenantry.domain.contract import Contract, ExchangeRate, Terms
from tenantry.domain.invoice import draft_number, period_json
from tenantry.domain.period import Span, billing_period
from tenantry.domain.proration import Days, civil_days, part_of, to_currency

NOVEMBER = billing_period(datetime(2026, 11, 23, tzinfo=UTC), "UTC", 1)
BASE = Terms(date(2026, 1, 1), "base", Decimal(99))


def lines(made: Statement) -> list[tuple[str, str]]:
    return [(line.description, format(line.amount, "f")) for line in made.lines]


def test_an_upgrade_with_20_of_30_days_left() -> None:
    agreed = Contract("UTC", (BASE, Terms(date(2026, 11, 11), "big", Decimal(299))))
    made = statement(agreed, NOVEMBER, [])
    assert lines(made) == [
        ("Plan base", "99.00"),
        ("Plan base, 20 of 30 days from 2026-11-11, credited", "-66.00"),
        ("Plan big, 20 of 30 days from 2026-11-11", "199.33"),
    ]
    assert made.subtotal - 99 == Decimal("133.33")
    december = billing_period(datetime(2026, 12, 5, tzinfo=UTC), "UTC", 1)
    assert lines(statement(agreed, december, [])) == [("Plan big", "299.00")]


def test_a_downgrade_is_the_upgrades_mirror() -> None:
    big = Terms(date(2026, 1, 1), "big", Decimal(299))
    agreed = Contract("UTC", (big, Terms(date(2026, 11, 11), "base", Decimal(99))))
    made = statement(agreed, NOVEMBER, [])
    assert [amount for _, amount in lines(made)] == ["299.00", "-199.33", "66.00"]


@pytest.mark.parametrize(
    ("starts", "ends", "amounts"),
    [
        (date(2026, 11, 1), date(2026, 12, 1), ["99.00"]),
        (date(2026, 11, 30), None, ["3.30"]),
        (date(2026, 11, 1), date(2026, 11, 2), ["99.00", "-95.70"]),
        (date(2026, 11, 10), date(2026, 11, 20), ["69.30", "-36.30"]),
    ],
)
def test_a_contract_that_covers_a_part(starts: date, ends: date | None, amounts: list[str]) -> None:
    agreed = Contract("UTC", (Terms(starts, "p", Decimal(99)),), ends=ends)
    assert [amount for _, amount in lines(statement(agreed, NOVEMBER, []))] == amounts


def test_terms_of_the_same_fee_and_a_free_plan_add_no_lines() -> None:
    same = Terms(date(2026, 11, 11), BASE.plan, Decimal(99))
    assert len(statement(Contract("UTC", (BASE, same)), NOVEMBER, []).lines) == 1
    free = Terms(date(2026, 1, 1), "free", Decimal(0))
    assert statement(Contract("UTC", (free,)), NOVEMBER, []).lines == ()


@pytest.mark.parametrize(
    ("zone", "instant", "anchor", "days"),
    [
        ("America/New_York", datetime(2026, 11, 20, tzinfo=UTC), 1, 30),  # 721 hours
        ("America/New_York", datetime(2026, 3, 20, tzinfo=UTC), 1, 31),  # 743 hours
        ("America/Havana", datetime(2026, 3, 20, tzinfo=UTC), 8, 31),  # a midnight that is not
        ("Pacific/Apia", datetime(2026, 2, 10, tzinfo=UTC), 31, 28),
        ("UTC", datetime(2028, 2, 10, tzinfo=UTC), 1, 29),
    ],
)
def test_days_are_civil_ones(zone: str, instant: datetime, anchor: int, days: int) -> None:
    assert civil_days(billing_period(instant, zone, anchor), zone).count == days


@given(
    st.decimals(0, 10**6, places=3),
    st.integers(1, 400),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_the_parts_of_any_split_are_the_whole(fee: Decimal, length: int, cuts: list[int]) -> None:
    start = date(2026, 1, 31)
    whole = Days(start, start + timedelta(days=length))
    edges = sorted({0, length, *(cut for cut in cuts if cut < length)})
    days = [start + timedelta(days=edge) for edge in edges]
    parts = [part_of(fee, Days(low, high), whole) for low, high in pairwise(days)]
    assert sum(parts) == Fraction(fee)


@given(
    st.lists(
        st.tuples(st.integers(0, 29), st.decimals(0, 9999, places=2)),
        min_size=1,
        max_size=5,
        unique_by=lambda change: change[0],
    ),
    st.integers(1, 31),
)
def test_any_changes_come_to_each_fee_for_its_own_days(
    changes: list[tuple[int, Decimal]], length: int
) -> None:
    changes = sorted(changes)
    start = date(2026, 11, 1)
    terms = tuple(Terms(start + timedelta(days=day), f"p{day}", fee) for day, fee in changes)
    ends = start + timedelta(days=max(length, changes[-1][0] + 1))
    made = statement(Contract("UTC", terms, ends=ends), NOVEMBER, [])
    expected = Fraction(0)
    for (day, fee), (until, _) in pairwise([*changes, ((ends - start).days, Decimal(0))]):
        expected += Fraction(fee) * (min(until, 30) - day) / 30
    assert sum(line.exact for line in made.lines) == expected


@pytest.mark.parametrize(
    ("exact", "currency", "shown"),
    [
        (Fraction(598, 3), "USD", "199.33"),
        (Fraction(1, 200), "USD", "0.01"),
        (Fraction(-1, 200), "USD", "-0.01"),
        (Fraction(-1, 201), "USD", "0.00"),
        (Fraction(1, 2), "JPY", "1"),
        (Fraction(1, 3), "KWD", "0.333"),
        (Fraction(10**40) + Fraction(1, 3), "USD", "1" + "0" * 40 + ".33"),
    ],
)
def test_a_half_goes_away_from_zero(exact: Fraction, currency: str, shown: str) -> None:
    assert format(to_currency(exact, currency), "f") == shown


@pytest.mark.parametrize("apart_h", [-1, 0, 1])
def test_days_are_those_of_the_database_whose_time_zones_are_of_another_age(apart_h: int) -> None:
    """An hour before or after this program's midnight is no day more or less, and no other fee."""
    apart = timedelta(hours=apart_h)
    known = billing_period(datetime(2026, 12, 15, tzinfo=UTC), "America/New_York", 1)
    period = Span(known.start + apart, known.end + apart)
    assert civil_days(period, "America/New_York") == Days(date(2026, 12, 1), date(2027, 1, 1))
    terms = Terms(date(2026, 12, 1), "team", Decimal(310))
    ends = Contract("America/New_York", (terms,), ends=date(2026, 12, 11))
    assert statement(ends, period, []).total == 100
    assert period_json(period, "America/New_York")["label"] == "2026-12-01 to 2026-12-31"
    assert draft_number(period, "America/New_York") == "draft-2026-12-01"


def test_a_fee_that_is_given_back_is_in_the_currencys_own_units() -> None:
    terms = (Terms(date(2026, 1, 1), "p", Decimal(1_000)),)
    one = ExchangeRate(date(2026, 11, 1), "USD", "JPY", Decimal(150), "x")
    yen = Contract("UTC", terms, "JPY", ends=date(2026, 11, 11), rates=(one,))
    amounts = [format(line.amount, "f") for line in statement(yen, NOVEMBER, []).lines]
    assert amounts == ["1000", "-667"]  # 20 of 30 days
