"""Exact money: decimals that never round unless a line of an invoice says so.

Every product, sum and sign runs in a context that traps inexactness, so a rounding that nobody
asked for is a crash in a test and never a cent in a ledger. Python's own operators, the sign and
`abs` too, round to 28 digits, and a list charge in another currency has more: outside of this
module `make lint` lets none of them near a decimal (`tools/exact_decimals.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from typing import Final

from tenantry.domain.currency import EXPONENTS

DIGITS: Final = 120
_TRAPS: Final = (InvalidOperation, DivisionByZero, Overflow)
EXACT = Context(prec=DIGITS, traps=[Inexact, *_TRAPS])
_ROUNDED = Context(prec=DIGITS, rounding=ROUND_HALF_UP, traps=list(_TRAPS))
ZERO = Decimal(0)
_MILLION = 6  # prices are quoted for 10**6 tokens

DIGITS_MAX: Final = 12  # of an amount that is entered, on each side of the point
_AMOUNT = re.compile(rf"-?[0-9]{{1,{DIGITS_MAX}}}(?:\.[0-9]{{1,{DIGITS_MAX}}})?", re.ASCII)


def amount_from(text: str) -> Decimal:
    """What is entered, in the one spelling that cannot be meant otherwise. Raises `ValueError`."""
    if not _AMOUNT.fullmatch(text):
        raise ValueError(
            f"{text[:40]!r} is no plain decimal such as 12.50, of at most {DIGITS_MAX} digits a"
            " side"
        )
    return EXACT.plus(Decimal(text))  # `-0` is 0


def times(left: Decimal, right: Decimal) -> Decimal:
    return EXACT.multiply(left, right)


def total(amounts: Iterable[Decimal]) -> Decimal:
    result = ZERO
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def minus(amount: Decimal) -> Decimal:
    return EXACT.minus(amount)


def absolute(amount: Decimal) -> Decimal:
    return EXACT.abs(amount)


def less(amount: Decimal, *others: Decimal) -> Decimal:
    """The amount without all of the others."""
    for other in others:
        amount = EXACT.subtract(amount, other)
    return amount


def shifted(amount: Decimal, places: int) -> Decimal:
    """With its point moved: 1.5 by 2 places is 150."""
    return EXACT.scaleb(amount, places)


def per_million(quantity: int, price: Decimal) -> Decimal:
    """`quantity` tokens at `price` for a million of them."""
    return shifted(times(Decimal(quantity), price), -_MILLION)


def plain(amount: Decimal) -> str:
    """Unrounded, without exponent and without trailing zeros: `0.0315`."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def to_currency(amount: Decimal, currency: str) -> Decimal:
    """Rounded half up to the currency's minor unit: what a line of an invoice shows."""
    return rounded(amount, shifted(Decimal(1), -EXPONENTS.get(currency, 2)))


def rounded(amount: Decimal, step: Decimal) -> Decimal:
    """Half up to a step such as 0.01: for a line of an invoice, and for what is shown."""
    return amount.quantize(step, rounding=ROUND_HALF_UP, context=_ROUNDED)


def at_least(amount: Decimal, step: Decimal) -> Decimal:
    """Rounded up to a step: for words on what may have to be paid."""
    return amount.quantize(step, rounding=ROUND_CEILING, context=_ROUNDED)


def at_most(amount: Decimal, step: Decimal) -> Decimal:
    """Rounded down to a step: for words on what is there."""
    return amount.quantize(step, rounding=ROUND_FLOOR, context=_ROUNDED)


def ratio(left: Decimal, right: Decimal) -> Decimal:
    """A quotient for a report: rounded where it has no end, so it never goes into a book."""
    return _ROUNDED.divide(left, right)
