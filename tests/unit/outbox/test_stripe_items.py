"""Amounts in Stripe's units: exact, or refused."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.adapters.stripe.items import ITEMS_MAX, BadInvoice, to_stripe


def body(currency: str, *amounts: str, **changes: Any) -> dict[str, Any]:
    lines = [{"description": f"line {n}", "amount": each} for n, each in enumerate(amounts)]
    total = str(sum(map(Decimal, amounts)))
    return {
        "number": "INV-1",
        "currency": currency,
        "lines": lines,
        "total": total,
        "due": total,
        **changes,
    }


@pytest.mark.parametrize(
    ("currency", "amount", "units"),
    [
        ("USD", "12.34", 1_234),
        ("USD", "-0.01", -1),
        ("JPY", "1234", 1_234),
        ("KWD", "1.230", 1_230),
        ("ISK", "5", 500),
        ("UGX", "70", 7_000),
        ("MGA", "3", 3),
        ("EUR", "1", 100),
    ],
)
def test_an_amount_in_stripes_units(currency: str, amount: str, units: int) -> None:
    made = to_stripe(body(currency, amount, "1000"))
    assert made.items[0].amount == units
    assert made.currency == currency.lower()


@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("USD", "0.001"),
        ("JPY", "0.5"),
        ("ISK", "0.50"),
        ("KWD", "0.0001"),
        ("MGA", "0.001"),
        ("USD", "NaN"),
        ("USD", "1E+40"),
    ],
)
def test_what_stripe_cannot_hold_is_refused(currency: str, amount: str) -> None:
    with pytest.raises(BadInvoice):
        to_stripe(body(currency, "5", total="5", due="5") | {"tax": {"amount": amount}})


@pytest.mark.parametrize(
    "changes",
    [
        {"total": "9.99", "due": "9.99"},
        {"due": "9.99"},
        {"credit": "11", "due": "-1"},
        {"lines": None},
        {"lines": [{"amount": 10.0, "description": "a float"}]},
        {"number": None, "currency": None},
    ],
)
def test_what_does_not_add_up_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInvoice):
        to_stripe({**body("USD", "4", "6"), **changes})


def test_a_true_up_beside_the_lines_is_an_item_and_one_among_them_is_not_twice() -> None:
    beside = to_stripe(body("USD", "4", true_up="6", total="10", due="10"))
    assert [item.amount for item in beside.items] == [400, 600]
    among = to_stripe(body("USD", "4", "6", true_up="6"))
    assert [item.amount for item in among.items] == [400, 600]


@pytest.mark.parametrize(
    ("currency", "exponent", "step", "unit"), [("KWD", 3, 10, 1), ("MGA", 2, 100, 100)]
)
@given(smallest=st.lists(st.integers(-9_999, 99_999), min_size=1, max_size=12))
def test_dinars_go_in_tens_ariary_whole_and_never_over_what_is_owed(
    currency: str, exponent: int, step: int, unit: int, smallest: list[int]
) -> None:
    """`unit`: how many of the smallest are one at Stripe."""
    due = sum(smallest)
    amounts = [str(Decimal(each).scaleb(-exponent)) for each in smallest]
    if due < 0:
        with pytest.raises(BadInvoice):
            to_stripe(body(currency, *amounts))
        return
    made = to_stripe(body(currency, *amounts))
    pushed = [item.amount * unit for item in made.items]
    assert all(amount % step == 0 for amount in pushed)
    assert sum(pushed) == made.total * unit == due - made.left_over
    assert 0 <= made.left_over < step
    assert all(abs(one - each) < step for one, each in zip(pushed, smallest, strict=True))


def test_more_lines_than_stripe_takes_are_one_at_the_end() -> None:
    made = to_stripe(body("USD", *["0.01"] * 400))
    assert len(made.items) == ITEMS_MAX
    assert made.items[-1].amount == 400 - ITEMS_MAX + 1
    assert made.total == 400
