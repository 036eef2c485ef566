"""The reference case to the cent, and what the honest one adds to it."""

from decimal import Decimal

import pytest

from tenantry.domain.economics import HONEST, Scenario, economics, shown


@pytest.mark.parametrize(
    ("customers", "model", "total", "revenue", "margin"),
    [
        (10, "3.00", "31.00", "500.00", "93.8"),
        (100, "30.00", "80.00", "5000.00", "98.4"),
    ],
)
def test_the_reference_case(
    customers: int, model: str, total: str, revenue: str, margin: str
) -> None:
    fixed = Decimal(28) if customers == 10 else Decimal(50)
    figures = economics(Scenario(customers, fixed_cost=fixed))
    assert shown(figures.model_cost) == Decimal(model)
    assert shown(figures.total_cost) == Decimal(total)
    assert shown(figures.revenue) == Decimal(revenue)
    assert figures.margin_percent == Decimal(margin)


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert str(shown(Decimal("-0.004"))) == "0.00"
    assert str(shown(Decimal("-0.005"))) == "-0.01"


def test_the_honest_case_earns_less() -> None:
    honest, reference = economics(HONEST), economics(Scenario(10))
    # 1,000 queries of 4,500 in at 3 and 500 out at 15 a million.
    assert honest.model_cost == Decimal("21.0")
    assert honest.waste == Decimal("0.63")
    assert honest.fees == Decimal("17.5")
    assert honest.total_cost > reference.total_cost
    assert honest.lifetime_value is not None
    assert honest.payback_months is not None
    # (500 − 21 − .63 − 17.5) / 10 = 46.087 a customer and month
    assert shown(honest.lifetime_value) == Decimal("1536.23")
    assert shown(honest.payback_months) == Decimal("4.34")


def test_nobody_pays_nothing_back() -> None:
    figures = economics(Scenario(0))
    assert figures.margin_percent is None
    assert figures.payback_months is None
