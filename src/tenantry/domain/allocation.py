"""Dividing an amount by weights so that the parts sum to it, to the last digit.

The largest-remainder rule: each part is cut to a step, and the steps that are left over go to the
largest remainders, then to the smallest name. Pure; the same input gives the same parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from tenantry.domain import money

STEP = Decimal("0.000001")  # USD; finer where the amount itself is


def allocate(amount: Decimal, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Parts by name, in the order of the weights. Weights below 0 count as 0; all 0: equal parts.

    Raises `ValueError` where there is an amount and nobody to bear it.
    """
    if not weights:
        if amount:
            raise ValueError(f"{amount} to allocate, and nobody to bear it")
        return {}
    counted = {name: max(Fraction(weight), Fraction(0)) for name, weight in weights.items()}
    total = sum(counted.values())
    if not total:
        counted, total = dict.fromkeys(counted, Fraction(1)), Fraction(len(counted))
    step = min(STEP, money.shifted(Decimal(1), _exponent(amount)))
    exact = {name: Fraction(amount) * weight / total for name, weight in counted.items()}
    parts = {name: _floor(share, step) for name, share in exact.items()}
    left = int(Fraction(money.less(amount, *parts.values())) / Fraction(step))
    by_remainder = sorted(exact, key=lambda name: (Fraction(parts[name]) - exact[name], name))
    for name in by_remainder[:left]:
        parts[name] = money.total((parts[name], step))
    assert money.total(parts.values()) == amount, "parts sum to the whole"
    return parts


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), "an amount is finite"
    return exponent


def _floor(share: Fraction, step: Decimal) -> Decimal:
    steps = share / Fraction(step)
    return money.times(Decimal(steps.numerator // steps.denominator), step)
