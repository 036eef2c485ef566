"""A few customers use most: shares of a log-normal, and who costs more than it brings."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tenantry.domain.economics import HONEST, Scenario
from tenantry.domain.heavy_tail import tail_of


def test_without_a_spread_all_are_the_same() -> None:
    tail = tail_of(HONEST, Decimal(0))
    assert (tail.top_1_share, tail.top_10_share) == (Decimal("1.0"), Decimal("10.0"))
    assert (tail.median_use, tail.loss_making) == (Decimal("100.0"), Decimal("0.0"))


def test_shares_of_a_log_normal() -> None:
    """1 − Φ(Φ⁻¹(.99) − 1.5) = 20.4 %, 1 − Φ(Φ⁻¹(.9) − 1.5) = 58.6 %, e^(−1.125) = 32.5 %."""
    tail = tail_of(HONEST, Decimal("1.5"))
    assert (tail.top_1_share, tail.top_10_share) == (Decimal("20.4"), Decimal("58.6"))
    assert tail.median_use == Decimal("32.5")


def test_a_flat_price_loses_on_the_heaviest() -> None:
    # A customer brings 50 × .971 − .30 = 48.25; the average one costs 2.10 × 1.03 = 2.163: who
    # uses 22.3 times the average makes a loss.
    few = tail_of(HONEST, Decimal("1.5")).loss_making
    many = tail_of(replace(HONEST, queries_per_customer=1_000), Decimal("1.5")).loss_making
    assert (few, many) == (Decimal("0.2"), Decimal("9.9"))


def test_a_price_by_use_loses_on_the_lightest() -> None:
    by_use = replace(HONEST, revenue_per_customer=Decimal(0), markup=Decimal(3))
    # Use brings 2.10 × (3 × .971 − 1.03) = 3.9543; the flat fee of .30 is lost below .0759 of it.
    assert Decimal(0) < tail_of(by_use, Decimal("1.5")).loss_making < Decimal(20)
    assert tail_of(replace(by_use, payment_fee_each=Decimal(0)), Decimal(2)).loss_making == 0


def test_what_costs_nothing_loses_nothing() -> None:
    assert tail_of(Scenario(10, queries_per_customer=0), Decimal(1)).loss_making == 0


@pytest.mark.parametrize("sigma", ["-0.1", "4.1"])
def test_a_spread_has_its_range(sigma: str) -> None:
    with pytest.raises(ValueError, match="from 0 to 4"):
        tail_of(HONEST, Decimal(sigma))
