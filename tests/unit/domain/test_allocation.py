"""Parts of an amount sum to it, whatever the weights."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.allocation import STEP, allocate

AMOUNTS = st.decimals(0, 1_000_000, places=9, allow_nan=False)
WEIGHTS = st.dictionaries(
    st.text(min_size=1, max_size=4),
    st.decimals(-5, 10**9, places=3, allow_nan=False),
    min_size=1,
    max_size=30,
)


@given(AMOUNTS, WEIGHTS)
def test_the_parts_sum_to_the_whole(amount: Decimal, weights: dict[str, Decimal]) -> None:
    parts = allocate(amount, weights)
    assert sum(map(Fraction, parts.values())) == Fraction(amount)
    assert list(parts) == list(weights)
    counted = {name: max(Fraction(weight), Fraction(0)) for name, weight in weights.items()}
    total = sum(counted.values())
    for name, part in parts.items():
        share = counted[name] / total if total else Fraction(1, len(weights))
        assert abs(Fraction(part) - Fraction(amount) * share) < Fraction(STEP)


def test_a_third_each_leaves_nothing_over() -> None:
    parts = allocate(Decimal("1"), dict.fromkeys("abc", Decimal(1)))
    assert sorted(parts.values()) == [Decimal(p) for p in ("0.333333", "0.333333", "0.333334")]
    assert parts["a"] == Decimal("0.333334")  # of equal remainders the smallest name


def test_without_weights_all_bear_the_same() -> None:
    parts = allocate(Decimal(10), {"a": Decimal(0), "b": Decimal(-3)})
    assert parts == {"a": Decimal(5), "b": Decimal(5)}


def test_somebody_has_to_bear_it() -> None:
    assert allocate(Decimal(0), {}) == {}
    with pytest.raises(ValueError, match="nobody"):
        allocate(Decimal(1), {})
