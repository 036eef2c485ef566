"""A plan is read exactly, or refused by plan and field."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.plan import plan_from, plan_to_json
from tenantry.domain.plan_values import COUNT_MAX, PlanError

LIMITS = (
    "requests_per_day",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "documents_max",
    "storage_max_mb",
)
MONEY = ("monthly_budget", "soft_alert_at", "markup", "monthly_fee", "minimum")


@pytest.mark.parametrize("limit", LIMITS)
def test_absent_is_unlimited_and_0_blocks_all(limit: str) -> None:
    assert getattr(plan_from("p", {}), limit) is None
    assert getattr(plan_from("p", {limit: None}), limit) is None
    assert getattr(plan_from("p", {limit: 0}), limit) == 0


def test_a_tier_that_does_not_exist_is_an_error_at_load() -> None:
    with pytest.raises(PlanError, match="turbo"):
        plan_from("p", {"service_tiers_allowed": ["default", "turbo"]})


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("value", [-1, 1.0, "5", True, COUNT_MAX + 1, [], {}])
def test_limits_are_whole_numbers(limit: str, value: Any) -> None:
    with pytest.raises(PlanError, match=limit):
        plan_from("p", {limit: value})


@pytest.mark.parametrize("field", MONEY)
@pytest.mark.parametrize("value", [0.1, 5.0, "NaN", "Infinity", "-1", -1, True, "five", [], {}])
def test_money_is_never_a_float(field: str, value: Any) -> None:
    with pytest.raises(PlanError, match=field):
        plan_from("p", {field: value})


@pytest.mark.parametrize("value", ["0." + "1" * 13, "1" + "0" * 12, "1E+12", "1E-13"])
def test_money_has_digits_that_stay_exact(value: str) -> None:
    with pytest.raises(PlanError, match="markup"):
        plan_from("p", {"markup": value})


@pytest.mark.parametrize("value", ["1_0", "٣", " 1", "1\n", "+1", ".5", "5.", "1e2", "0x1", ""])
def test_money_is_written_as_in_budgets_and_prices(value: str) -> None:
    for table in (
        {"markup": value},
        {"monthly_budget": value},
        {"markup_by_model": {"m": value}},
        {"overage": {"mode": "volume", "steps": [{"per_million": value}]}},
    ):
        with pytest.raises(PlanError, match="decimal number"):
            plan_from("p", table)


@pytest.mark.parametrize("value", ["0.0000001", "100000000000", "0.000000000001", "0.000000000000"])
def test_money_is_read_as_it_was_stored(value: str) -> None:
    """Also where it was stored with an exponent."""
    plan = plan_from("p", {"cache_hit_price": value})
    assert plan_from("p", json.loads(json.dumps(plan_to_json(plan)))) == plan


@pytest.mark.parametrize(("value", "amount"), [("0.10", "0.1"), (5, "5"), (Decimal("1.5"), "1.5")])
def test_money_is_exact(value: Any, amount: str) -> None:
    assert plan_from("p", {"monthly_fee": value}).monthly_fee == Decimal(amount)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unheard_of", 1),
        ("name", "other"),
        ("version", 7),
        ("placement", "cloud"),
        ("placement", None),
        ("kms_key", "mine"),
        ("markup", None),
        ("monthly_fee", None),
        ("models_allowed", "nova"),
        ("models_allowed", [1]),
        ("models_allowed", [""]),
        ("regions_allowed", "us-east-1"),
        ("service_tiers_allowed", None),
        ("budget_hard", "yes"),
        ("clamp_output", 1),
        ("preamble", 5),
        ("preamble", None),
        ("default_model", ["x"]),
        ("max_tokens_ceiling", "8192"),
        ("max_tokens_ceiling", 0),
        ("max_tokens_default", 0),
        ("max_tokens_default", 100_000),
        ("fair_queue_weight", 0),
        ("fair_queue_weight", None),
        ("embedding_dimensions", 0),
        ("embedding_dimensions", 4_097),
        ("overage", []),
        ("guardrail", "no-version"),
        ("guardrail", 5),
    ],
)
def test_what_is_no_plan_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(PlanError, match=r"plan gold: "):
        plan_from("gold", {field: value})


def test_an_empty_list_allows_nothing() -> None:
    assert plan_from("p", {"models_allowed": []}).models_allowed == frozenset()


PLANS = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.none() | st.integers(0, 10**9) for name in LIMITS},
        **{name: st.decimals(0, 10**6, places=6).map(str) for name in MONEY},
        "markup_by_model": st.dictionaries(
            st.text(min_size=1), st.decimals(0, 10**6, places=6).map(str)
        ),
        "markup_by_class": st.dictionaries(
            st.sampled_from(["out", "cache_read", "guardrail_image"]), st.just("2.5")
        ),
        "budget_hard": st.booleans(),
        "placement": st.sampled_from(["pool", "silo"]),
        "models_allowed": st.none() | st.lists(st.text(min_size=1)),
        "service_tiers_allowed": st.lists(st.sampled_from(["default", "flex", "priority"])),
        "preamble": st.text(max_size=50),
        "guardrail": st.sampled_from([None, "gr123:1", "gr123:DRAFT"]),
        "overage": st.just({})
        | st.fixed_dictionaries(
            {
                "mode": st.sampled_from(["graduated", "volume"]),
                "steps": st.just([{"up_to": 10, "per_million": "1.50"}, {"per_million": 2}]),
            },
            optional={"included": st.integers(0, 10**9)},
        ),
    },
)


@given(PLANS)
def test_what_is_stored_is_the_plan(table: dict[str, Any]) -> None:
    plan = plan_from("p", table, version=3)
    stored = json.loads(json.dumps(plan_to_json(plan)))
    assert plan_from("p", stored, version=3) == plan
