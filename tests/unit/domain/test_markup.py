"""A markup by model or class charges each line its own; cost never changes."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.core import PRICES

from tenantry.domain.plan import plan_from
from tenantry.domain.plan_file import plan_tables_from_toml
from tenantry.domain.plan_values import PlanError
from tenantry.domain.rating import Bound, rate, worst_charge, worst_cost
from tenantry.domain.usage import TokenClass, Usage

CLAUDE = PRICES.of("claude")
TIERS = frozenset({"default"})
PLAN = plan_from(
    "p",
    {
        "markup": "3",
        "markup_by_model": {"opus": "1.5"},
        "markup_by_class": {"out": "2", "cache_read": "10"},
    },
)
USED = Usage(uncached_in=1_000, out=500)


@pytest.mark.parametrize(
    ("model", "charges"),
    [("nova", ["0.009", "0.015"]), ("opus", ["0.0045", "0.01125"])],
)
def test_each_line_has_the_most_particular_markup(model: str, charges: list[str]) -> None:
    at_cost = rate(USED, CLAUDE, tier="default", markup=plan_from("p", {}).markup_of(model))
    made = rate(USED, CLAUDE, tier="default", markup=PLAN.markup_of(model))
    assert [line.charge for line in made.lines] == list(map(Decimal, charges))
    assert made.charge == sum(map(Decimal, charges))
    assert [line.cost for line in made.lines] == [line.cost for line in at_cost.lines]
    assert made.cost == at_cost.cost == at_cost.charge


def test_a_reservation_takes_what_each_class_may_be_charged() -> None:
    bound = Bound(1_000, 500)
    markup = PLAN.markup_of("nova")
    worst = worst_charge(bound, CLAUDE, markup, tiers=TIERS)
    assert worst == Decimal("0.009") + Decimal("0.015")
    cached = worst_charge(Bound(1_000, 500, True), CLAUDE, markup, tiers=TIERS)
    dearest = CLAUDE.rates("default", 0)[TokenClass.CACHE_WRITE_5M] * 3 / 1_000
    assert cached == max(dearest, Decimal("0.009")) + Decimal("0.015")


def test_a_batch_reserves_at_its_own_tier_alone() -> None:
    bound, markup = Bound(1_000, 500), PLAN.markup_of("nova")
    batch = worst_charge(bound, CLAUDE, markup, tiers=frozenset({"batch"}))
    assert batch == worst_charge(bound, CLAUDE, markup, tiers=TIERS) / 2


AMOUNTS = st.decimals(0, 100, places=3)


@given(
    st.dictionaries(st.sampled_from(list(TokenClass)), AMOUNTS),
    AMOUNTS,
    st.integers(0, 10**6),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
)
def test_no_answer_within_the_bound_is_charged_more_than_is_reserved(
    by_class: dict[TokenClass, Decimal],
    default: Decimal,
    fresh: int,
    read: int,
    wrote: int,
    out: int,
) -> None:
    table = {"markup": default, "markup_by_class": {str(k): v for k, v in by_class.items()}}
    markup = plan_from("p", table).markup_of("nova")
    used = Usage(uncached_in=fresh, cache_read=read, cache_write_5m=wrote, out=out)
    bound = Bound(fresh + read + wrote, out, cache_writes_5m=True)
    charged = rate(used, CLAUDE, tier="default", markup=markup).charge
    assert charged <= worst_charge(bound, CLAUDE, markup, tiers=TIERS)
    alike = plan_from("p", {"markup": default}).markup_of("nova")
    assert worst_charge(bound, CLAUDE, alike, tiers=TIERS) == default * worst_cost(
        bound, CLAUDE, tiers=TIERS
    )


def test_the_documented_example_is_a_plan() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "plans.md"
    examples = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    (example,) = (text for text in examples if "markup_by_class" in text)
    plan = plan_from("pro", plan_tables_from_toml(example)["pro"])
    assert plan.markup_of("amazon.nova-pro-v1:0").of(TokenClass.OUT) == 3
    others = plan.markup_of("amazon.nova-lite-v1:0")
    assert (others.of(TokenClass.OUT), others.of(TokenClass.CACHE_READ)) == (3, 1)
    assert others.of(TokenClass.UNCACHED_IN) == 4


@pytest.mark.parametrize("wrong", ["-1", "NaN", "Infinity", 1.5, None, True, [], {}])
@pytest.mark.parametrize(("field", "name"), [("markup_by_model", "m"), ("markup_by_class", "out")])
def test_a_markup_is_a_number_from_0(field: str, name: str, wrong: Any) -> None:
    with pytest.raises(PlanError, match=rf"{field}\.{name}"):
        plan_from("p", {field: {name: wrong}})


@pytest.mark.parametrize("wrong", [None, [], "3", {"": "3"}, {"tokens": "3"}])
def test_a_class_that_does_not_exist_has_no_markup(wrong: Any) -> None:
    with pytest.raises(PlanError, match=r"markup_by_class|token class"):
        plan_from("p", {"markup_by_class": wrong})
