"""Exact, or a crash: nothing is ever rounded but the line of an invoice."""

from __future__ import annotations

from decimal import Decimal, Inexact, InvalidOperation
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain import money
from tenantry.domain.currency import is_currency

PRICES = st.decimals(0, 10**9, places=12, allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 10**12)


@given(PRICES, PRICES)
def test_products_are_exact(left: Decimal, right: Decimal) -> None:
    assert Fraction(money.times(left, right)) == Fraction(left) * Fraction(right)


@given(COUNTS, PRICES, PRICES)
def test_a_price_for_a_million_is_exact(quantity: int, price: Decimal, markup: Decimal) -> None:
    cost = money.per_million(quantity, price)
    assert Fraction(cost) == Fraction(quantity) * Fraction(price) / 10**6
    assert Fraction(money.times(cost, markup)) == Fraction(cost) * Fraction(markup)


@given(st.lists(PRICES, max_size=50))
def test_sums_are_exact_in_any_order(amounts: list[Decimal]) -> None:
    assert Fraction(money.total(amounts)) == sum(map(Fraction, amounts))
    assert money.total(amounts) == money.total(reversed(amounts))


def test_what_would_be_rounded_is_refused() -> None:
    long = Decimal("1." + "1" * 119)
    with pytest.raises(Inexact):
        money.times(long, long)
    with pytest.raises(Inexact):
        money.total([Decimal(10**60), Decimal(1).scaleb(-100)])
    with pytest.raises(InvalidOperation):
        money.times(Decimal("sNaN"), Decimal(1))


@given(PRICES)
def test_the_plain_text_of_an_amount_is_the_amount(amount: Decimal) -> None:
    text = money.plain(amount)
    assert Decimal(text) == amount
    assert "E" not in text.upper()
    assert not (("." in text) and text.endswith(("0", ".")))


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0.0315", "0.0315"), ("1E+3", "1000"), ("1E-9", "0.000000001"), ("-0.00", "0"), ("10", "10"),
     ("2.500", "2.5"), ("-1.50", "-1.5")],
)  # fmt: skip
def test_plain(amount: str, text: str) -> None:
    assert money.plain(Decimal(amount)) == text


def test_rounded_once_and_not_for_each_call() -> None:
    cost = money.per_million(137, Decimal("0.40"))
    charge = money.times(cost, Decimal(3))
    assert money.to_currency(charge, "USD") == 0  # what rounding each call would give
    month = money.total([charge] * 100_000)
    assert money.to_currency(month, "USD") == Decimal("16.44")


@pytest.mark.parametrize(
    ("currency", "shown"),
    [("USD", "16.45"), ("EUR", "16.45"), ("JPY", "16"), ("KRW", "16"), ("XOF", "16"),
     ("KWD", "16.445"), ("TND", "16.445"), ("CLF", "16.4450")],
)  # fmt: skip
def test_decimals_of_a_currency(currency: str, shown: str) -> None:
    assert format(money.to_currency(Decimal("16.445"), currency), "f") == shown


@pytest.mark.parametrize(
    ("amount", "shown"), [("0.005", "0.01"), ("0.0049999", "0.00"), ("2.675", "2.68")]
)
def test_half_goes_up(amount: str, shown: str) -> None:
    assert format(money.to_currency(Decimal(amount), "USD"), "f") == shown


@pytest.mark.parametrize(
    ("text", "amount"),
    [("5", "5"), ("-12.50", "-12.50"), ("0.000000000001", "1E-12"), ("9" * 12, "999999999999")],
)
def test_an_amount_is_a_plain_decimal(text: str, amount: str) -> None:
    assert money.amount_from(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["-0", "-0.00"])
def test_nothing_that_is_entered_has_no_minus(text: str) -> None:
    assert not money.amount_from(text).is_signed()


@pytest.mark.parametrize(
    "text",
    ["", "1_0", " 5 ", "5\n", "+5", "1e1", "1E999999", "NaN", "Infinity", "-", ".5", "5.", "1,000",
     "0x10", "\u0661\u0662", "\uff15", "9" * 13, "9" * 200, "0." + "1" * 13],
)  # fmt: skip
def test_an_amount_in_a_spelling_that_nobody_means_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no plain decimal"):
        money.amount_from(text)


def test_three_letters_are_no_currency_but_those_of_the_standard() -> None:
    assert all(map(is_currency, ("USD", "EUR", "JPY", "KWD", "XCG", "ZWG")))
    for text in ("EUE", "usd", "EURO", "XTS", "XAU", "HRK", "", "US", "\uff35SD"):
        assert not is_currency(text)
