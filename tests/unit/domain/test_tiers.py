"""Graduated and volume prices to the last digit, at the steps and beside them."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain import money
from tenantry.domain.tiers import Mode, Step, Tiers

MILLION = 10**6
STEPS = (
    Step(MILLION, Decimal(10)),
    Step(10 * MILLION, Decimal(8)),
    Step(None, Decimal(5)),
)


@pytest.mark.parametrize(
    ("used", "graduated", "volume"),
    [
        (0, "0", "0"),
        (1, "0.00001", "0.00001"),
        (1_000_000, "10", "10"),
        (1_000_001, "10.000008", "8.000008"),
        (10_000_000, "82", "80"),
        (10_000_001, "82.000005", "50.000005"),
        (12_000_000, "92", "60"),
    ],
)
def test_the_figures(used: int, graduated: str, volume: str) -> None:
    assert money.plain(Tiers("graduated", STEPS).amount(used)) == graduated
    assert money.plain(Tiers("volume", STEPS).amount(used)) == volume


def test_each_step_says_what_it_prices() -> None:
    portions = Tiers("graduated", STEPS).portions(10_000_001)
    assert [(p.after, p.quantity, p.amount) for p in portions] == [
        (0, MILLION, Decimal(10)),
        (MILLION, 9 * MILLION, Decimal(72)),
        (10 * MILLION, 1, Decimal("0.000005")),
    ]
    assert [p.quantity for p in Tiers("volume", STEPS).portions(10_000_001)] == [10_000_001]
    assert Tiers("graduated", STEPS).portions(0) == Tiers("volume", STEPS).portions(0) == ()


PRICES = st.decimals(0, 1000, places=6)


@st.composite
def tiers(draw: st.DrawFn, mode: Mode) -> Tiers:
    ends = list(accumulate(draw(st.lists(st.integers(1, 10**9), max_size=6))))
    steps = [Step(end, draw(PRICES)) for end in ends]
    return Tiers(mode, (*steps, Step(None, draw(PRICES))))


@given(tiers("graduated"), st.integers(0, 10**10), st.integers(0, 10**6))
def test_graduated_is_continuous_and_never_falls(of: Tiers, used: int, more: int) -> None:
    grown = of.amount(used + more) - of.amount(used)
    dearest = max(step.per_million for step in of.steps)
    cheapest = min(step.per_million for step in of.steps)
    assert money.per_million(more, cheapest) <= grown <= money.per_million(more, dearest)


@given(tiers("graduated") | tiers("volume"), st.integers(0, 10**10))
def test_every_token_is_priced_once(of: Tiers, used: int) -> None:
    portions = of.portions(used)
    assert sum(portion.quantity for portion in portions) == used
    starts = [0, *accumulate(portion.quantity for portion in portions)][:-1]
    assert [portion.after for portion in portions] == starts


@given(tiers("volume"), st.integers(1, 10**10))
def test_volume_has_one_price_for_all(of: Tiers, used: int) -> None:
    price = next(s.per_million for s in of.steps if s.up_to is None or used <= s.up_to)
    assert of.amount(used) == money.per_million(used, price)
