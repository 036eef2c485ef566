"""A plan's overage table is read exactly, or refused by plan and field."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tenantry.domain.overage import STEPS_MAX, Overage, overage_from
from tenantry.domain.plan import plan_from
from tenantry.domain.plan_file import plan_tables_from_toml
from tenantry.domain.plan_values import PlanError
from tenantry.domain.tiers import Step, Tiers

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/plans.md"


def test_the_documented_example_costs_what_the_page_says() -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (example,) = (text for text in examples if "overage" in text)
    table = plan_tables_from_toml(example)["team"]
    read = overage_from("team", plan_from("team", table).overage)
    steps = (
        Step(1_000_000, Decimal(10)),
        Step(10_000_000, Decimal(8)),
        Step(None, Decimal(5)),
    )
    assert read == Overage(5_000_000, Tiers("graduated", steps))
    assert read.tiers.amount(16_000_000 - read.included) == Decimal(87)
    assert Tiers("volume", steps).amount(16_000_000 - read.included) == Decimal(55)
    assert read.tiers.amount(6_000_001 - read.included) == Decimal("10.000008")


@pytest.mark.parametrize("table", [{}, {"overage": {}}])
def test_a_plan_without_the_table_has_none(table: dict[str, Any]) -> None:
    assert overage_from("solo", plan_from("solo", table).overage) is None


GOOD: dict[str, Any] = {"mode": "volume", "steps": [{"per_million": "6"}]}


def steps(*tables: Any) -> dict[str, Any]:
    return {**GOOD, "steps": list(tables)}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "overage must be a table"),
        (None, "overage must be a table"),
        ({"included": 5}, "overage.mode must be graduated or volume"),
        ({**GOOD, "mode": "stairs"}, "overage.mode must be graduated or volume"),
        ({**GOOD, "mode": []}, "overage.mode must be graduated or volume"),
        ({**GOOD, "price": 1}, "unknown field overage.price"),
        ({**GOOD, "included": -1}, "overage.included must not be negative"),
        ({**GOOD, "included": True}, "overage.included must be a whole number"),
        ({**GOOD, "included": "5"}, "overage.included must be a whole number"),
        ({"mode": "volume"}, "overage.steps must be a list of 1 to 50 steps"),
        (steps(), "overage.steps must be a list of 1 to 50 steps"),
        (steps(*[{"per_million": 1}] * (STEPS_MAX + 1)), "must be a list of 1 to 50 steps"),
        (steps("6"), r"overage.steps\[0\] must be a table"),
        (steps({"per_million": 6.0}), r"steps\[0\].per_million must be a decimal in quotes"),
        (steps({"per_million": "-6"}), r"steps\[0\].per_million must be finite and not negative"),
        (steps({"per_million": "NaN"}), r"steps\[0\].per_million must be finite"),
        (steps({}), r"steps\[0\].per_million is missing; write 0 where it is free"),
        (steps({"per_million": 1, "upto": 5}), r"unknown field overage.steps\[0\].upto"),
        (steps({"per_million": 1, "up_to": 5}), r"steps\[0\] is the last step and must have no"),
        (steps({"per_million": 1}, {"per_million": 2}), r"steps\[0\].up_to is missing"),
        (steps({"up_to": 0, "per_million": 1}, {"per_million": 2}), "up_to must be more than 0"),
        (
            steps({"up_to": 9, "per_million": 1}, {"up_to": 9, "per_million": 1}, {}),
            r"steps\[1\].up_to must be more than 9",
        ),
    ],
)
def test_what_is_no_overage_is_refused_by_plan_and_field(table: Any, message: str) -> None:
    with pytest.raises(PlanError, match=f"plan gold: .*{message}"):
        plan_from("gold", {"overage": table})
