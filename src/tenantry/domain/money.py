"""Exact money: decimals that never round unless a line of an invoice says so.

Every product and sum runs in a context that traps inexactness, so a rounding that nobody asked for
is a crash in a test and never a cent in a ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

EXACT = Context(prec=120, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
ZERO = Decimal(0)
_MILLION = 6  # prices are quoted for 10**6 tokens

# Currencies of ISO 4217 whose minor unit is not a hundredth (list one, 2026-01-01).
_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def times(left: Decimal, right: Decimal) -> Decimal:
    return EXACT.multiply(left, right)


def total(amounts: Iterable[Decimal]) -> Decimal:
    result = ZERO
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def per_million(quantity: int, price: Decimal) -> Decimal:
    """`quantity` tokens at `price` for a million of them."""
    return EXACT.scaleb(EXACT.multiply(Decimal(quantity), price), -_MILLION)


def plain(amount: Decimal) -> str:
    """Unrounded, without exponent and without trailing zeros: `0.0315`."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def to_currency(amount: Decimal, currency: str) -> Decimal:
    """Rounded half up to the currency's minor unit: what a line of an invoice shows."""
    exponent = Decimal(1).scaleb(-_EXPONENTS.get(currency, 2))
    return amount.quantize(exponent, rounding=ROUND_HALF_UP, context=Context(prec=120))
