"""The largest output whose worst case fits: never one token too many, never one too few."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.clamp import largest_output
from tenantry.domain.price import ModelPrice, Step
from tenantry.domain.rating import Bound, worst_cost
from tenantry.domain.usage import TokenClass

MOST = 200_000
_prices = st.decimals(min_value=0, max_value=1_000, places=6)
_amounts = st.decimals(min_value=0, max_value=50, places=12)


@st.composite
def _models(draw: st.DrawFn) -> ModelPrice:
    """One to three tiers of one to three steps each, in no order of prices."""
    tiers = {}
    for tier in ("default", "flex", "priority")[: draw(st.integers(1, 3))]:
        overs = [0, *sorted(draw(st.sets(st.integers(1, 300_000), max_size=2)))]
        tiers[tier] = tuple(
            Step(over, {TokenClass.UNCACHED_IN: draw(_prices), TokenClass.OUT: draw(_prices)})
            for over in overs
        )
    return ModelPrice("m", tiers)


@given(_models(), st.integers(0, 400_000), _amounts, st.integers(1, 512), st.data())
def test_one_token_more_would_not_fit(
    price: ModelPrice, input_tokens: int, left: Decimal, least: int, data: st.DataObject
) -> None:
    most = data.draw(st.integers(1, MOST))
    tiers = frozenset(price.tiers)

    def worst(output: int) -> Decimal:
        return worst_cost(Bound(input_tokens, output), price, tiers=tiers)

    found = largest_output(lambda output: worst(output) <= left, least=least, most=most)
    if found is None:
        assert least > most or worst(least) > left
        return
    assert least <= found <= most
    assert worst(found) <= left
    assert found == most or worst(found + 1) > left
    more = left + data.draw(_amounts)
    again = largest_output(lambda output: worst(output) <= more, least=least, most=most)
    assert again is not None
    assert again >= found, "more money never gives a shorter answer"


@given(_models(), st.integers(0, 400_000), st.integers(1, MOST))
def test_the_worst_case_never_falls_with_the_output(
    price: ModelPrice, input_tokens: int, output: int
) -> None:
    bound, tiers = Bound(input_tokens, output), frozenset(price.tiers)
    longer = replace(bound, output_tokens=output + 1)
    assert worst_cost(bound, price, tiers=tiers) <= worst_cost(longer, price, tiers=tiers)


def test_what_is_left_to_the_last_digit() -> None:
    exact = Decimal("0.00384")  # 256 tokens at 15 $ per million

    def fits(left: Decimal, output: int) -> bool:
        return output * Decimal("0.000015") <= left

    assert largest_output(lambda n: fits(exact, n), least=256, most=10**9) == 256
    below = exact - Decimal("1e-12")
    assert largest_output(lambda n: fits(below, n), least=256, most=10**9) is None
    assert largest_output(lambda n: True, least=256, most=255) is None
