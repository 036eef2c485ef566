"""Guardrail units: read from what Bedrock reports, bounded before it is asked, priced by policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain import guardrail_usage
from tenantry.domain.errors import BadRequest
from tenantry.domain.guardrail import (
    Looked,
    estimated,
    guardrail_of,
    looked_at,
    output_units,
    pinned,
)
from tenantry.domain.markup import AT_COST, Markup
from tenantry.domain.price import GUARDRAILS, PriceEdition, Unpriced, edition_from_csv
from tenantry.domain.rating import Bound, rate, worst_charge, worst_cost
from tenantry.domain.usage import TokenClass, Usage
from tenantry.domain.usage_figures import Normalised, Quarantined

REPORT = {
    "topicPolicyUnits": 1,
    "contentPolicyUnits": 2,
    "contentPolicyImageUnits": 3,
    "sensitiveInformationPolicyUnits": 4,
    "contextualGroundingPolicyUnits": 5,
    "automatedReasoningPolicyUnits": 6,
    "sensitiveInformationPolicyFreeUnits": 50,
    "wordPolicyUnits": 60,
    "automatedReasoningPolicies": 70,
}
UNITS = Usage(
    guardrail_topic=1,
    guardrail_content=2,
    guardrail_image=3,
    guardrail_pii=4,
    guardrail_grounding=5,
    guardrail_reasoning=6,
)
TOKENS = Normalised(Usage(uncached_in=10, out=5), {"inputTokens": 10})
ROWS = {
    "guardrail_topic": "150",
    "guardrail_content": "150",
    "guardrail_image": "750",
    "guardrail_pii": "100",
    "guardrail_grounding": "100",
    "guardrail_reasoning": "170",
}


def edition(without: str = "") -> PriceEdition:
    rows = [
        "model,tier,over_tokens,class,usd_per_million",
        *(f"m,{tier},0,{name},{n}" for tier in ("default", "flex")
          for name, n in (("uncached_in", 3), ("out", 15))),
        *(f"{GUARDRAILS},default,0,{n},{p}" for n, p in ROWS.items() if n != without),
    ]  # fmt: skip
    return edition_from_csv(
        rows, version=1, effective_from=datetime(2026, 11, 1, tzinfo=UTC), source="test"
    )


def assessment(**usage: object) -> dict[str, Any]:
    return {"invocationMetrics": {"guardrailProcessingLatency": 5, "usage": usage}}


def test_each_policy_is_a_class_of_its_own_and_free_units_are_none() -> None:
    reading = guardrail_usage.from_guardrail(REPORT)
    assert isinstance(reading, Normalised)
    assert reading.usage == UNITS


@pytest.mark.parametrize(
    "report", [None, {}, 5, {"topicPolicyUnits": -1}, {"topicPolicyUnits": 1.5}]
)
def test_units_that_cannot_be_trusted_are_not_zero(report: object) -> None:
    assert isinstance(guardrail_usage.from_guardrail(report), Quarantined)
    assert isinstance(guardrail_usage.with_guardrail(TOKENS, [report]), Quarantined)


def test_a_guarded_answer_without_units_is_quarantined() -> None:
    assert isinstance(guardrail_usage.with_guardrail(TOKENS, []), Quarantined)


def test_units_of_all_assessments_of_a_trace() -> None:
    one = assessment(topicPolicyUnits=1, wordPolicyUnits=9)
    converse = {
        "guardrail": {
            "modelOutput": ["text"],
            "inputAssessment": {"gr1": one},
            "outputAssessments": {"gr1": [one, one]},
        },
        "promptRouter": {},
    }
    native = {"amazon-bedrock-trace": {"guardrail": {"input": {"g": one}, "outputs": [{"g": one}]}}}
    for found, count in (
        (guardrail_usage.usages_in_converse(converse), 3),
        (guardrail_usage.usages_in_native(native), 2),
    ):
        reading = guardrail_usage.with_guardrail(TOKENS, found)
        assert isinstance(reading, Normalised)
        assert reading.usage == TOKENS.usage + Usage(guardrail_topic=count)
        assert reading.raw == {"inputTokens": 10, "guardrail.topicPolicyUnits": count}


junk = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["guardrail", "input", "outputs", "inputAssessment", "outputAssessments",
                         "invocationMetrics", "usage", "topicPolicyUnits", "amazon-bedrock-trace"]),
        inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(junk)
def test_no_trace_makes_it_raise(trace: object) -> None:
    for usages in (
        guardrail_usage.usages_in_converse(trace),
        guardrail_usage.usages_in_native(trace),
    ):
        guardrail_usage.with_guardrail(TOKENS, usages)
    guardrail_usage.from_guardrail(trace)


def test_units_are_priced_by_policy_whatever_model_and_tier() -> None:
    prices = edition()
    for tier in ("default", "flex"):
        rated = rate(
            UNITS + TOKENS.usage,
            prices.of("m"),
            tier=tier,
            markup=Markup(Decimal(2)),
            guardrails=prices.guardrails,
        )
        costs = {str(line.token_class): line.cost for line in rated.lines}
        assert costs["guardrail_topic"] == Decimal("0.00015")
        assert costs["guardrail_content"] == 2 * Decimal("0.00015")
        assert costs["guardrail_image"] == 3 * Decimal("0.00075")
        assert costs["guardrail_pii"] == 4 * Decimal("0.0001")
        assert costs["guardrail_grounding"] == 5 * Decimal("0.0001")
        assert costs["guardrail_reasoning"] == 6 * Decimal("0.00017")
        assert rated.charge == 2 * rated.cost


@pytest.mark.parametrize("missing", sorted(ROWS))
def test_a_policy_without_a_price_refuses_before_and_is_never_zero_after(missing: str) -> None:
    prices = edition(without=missing)
    bound = Bound(10, 5, guardrail_units=1, guardrail_images=1)
    with pytest.raises(Unpriced, match=missing):
        worst_cost(bound, prices.of("m"), tiers=frozenset(), guardrails=prices.guardrails)
    with pytest.raises(Unpriced, match=missing):
        rate(UNITS, prices.of("m"), tier="default", markup=AT_COST, guardrails=prices.guardrails)
    with pytest.raises(Unpriced):
        worst_cost(bound, prices.of("m"), tiers=frozenset())
    unguarded = replace(bound, guardrail_units=0, guardrail_images=0)
    assert worst_cost(unguarded, prices.of("m"), tiers=frozenset()) == Decimal("0.000105")


def test_the_worst_case_has_every_policy_once() -> None:
    prices = edition()
    bound = Bound(10, 5, guardrail_units=3, guardrail_images=2)
    worst = worst_cost(bound, prices.of("m"), tiers=frozenset(), guardrails=prices.guardrails)
    text = Decimal("0.00015") * 2 + Decimal("0.0001") * 2 + Decimal("0.00017")
    assert worst == Decimal("0.000105") + 3 * text + 2 * Decimal("0.00075")
    long = replace(bound, output_tokens=1_000, guards_output=True)
    more = worst_cost(long, prices.of("m"), tiers=frozenset(), guardrails=prices.guardrails)
    # 1,000 tokens can be 16,000 characters: 16 units beside the prompt's 3.
    assert more == Decimal("0.01503") + 19 * text + 2 * Decimal("0.00075")


def test_the_worst_charge_has_each_policy_at_its_own_markup() -> None:
    prices = edition()
    images = Bound(10, 5, guardrail_images=2)
    markup = Markup(Decimal(1), {TokenClass.GUARDRAIL_IMAGE: Decimal(7)})
    worst = worst_charge(
        images, prices.of("m"), markup, tiers=frozenset(), guardrails=prices.guardrails
    )
    assert worst == Decimal("0.000105") + 7 * 2 * Decimal("0.00075")


def test_all_texts_are_looked_at_and_no_bytes() -> None:
    body = {
        "system": [{"text": "s" * 500}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "x" * 1_700},
                    {"image": {"format": "png", "source": {"bytes": "A" * 9_000}}},
                    {"type": "image", "source": {"type": "base64", "data": "A" * 9_000}},
                    {"guardContent": {"text": {"text": "y" * 100}}},
                ],
            }
        ],
    }
    looked = looked_at(body)
    assert looked.images == 2
    assert 3 + 3 <= looked.units <= 7  # 2,300 characters, and three texts rounded up alone


@given(st.lists(st.text(min_size=1, max_size=1_500), min_size=1, max_size=6))
def test_no_split_into_texts_bills_more_than_the_bound(texts: list[str]) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": text} for text in texts]}]}
    by_itself = sum(-(-len(text) // 1_000) for text in texts)
    assert by_itself <= looked_at(body).units


def test_how_deep_a_body_is_nested_does_not_matter() -> None:
    deep: Any = "x" * 2_000
    for _ in range(50_000):
        deep = [deep]
    assert looked_at({"messages": deep}).units >= 2


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["string", "null"]},
        {"type": "object", "properties": {"type": {"type": "string"}}},
        {"type": {}, "const": [[{"type": [{}]}]]},
    ],
)
def test_a_tools_schema_is_read_whatever_its_types_are(schema: dict[str, Any]) -> None:
    tool = {"toolSpec": {"name": "t", "inputSchema": {"json": schema}}}
    body = {"messages": [{"content": [{"text": "hello"}]}], "toolConfig": {"tools": [tool]}}
    assert looked_at(body) == Looked(2, 0)


def test_an_estimate_comes_from_the_intent_alone() -> None:
    intent = {"tier": "default", **pinned(Looked(2, 1))}
    assert estimated(intent, 500) == Usage(
        guardrail_topic=4,
        guardrail_content=4,
        guardrail_pii=4,
        guardrail_grounding=4,
        guardrail_reasoning=4,
        guardrail_image=1,
    )
    assert estimated({"tier": "default"}, 500) == Usage()
    assert output_units(1_000) == 16


@pytest.mark.parametrize(
    ("identifier", "version"),
    [("", "1"), ("Gr", "1"), ("gr/1", "1"), ("gr", "0"), ("gr", "v1"), (None, "1"), ("gr", None),
     ("gr", 1), ("arn:aws:bedrock:us-east-1:1:guardrail/gr", "1"), ("gr", "DRAFT ")],
)  # fmt: skip
def test_a_name_that_is_no_guardrails_is_refused(identifier: object, version: object) -> None:
    with pytest.raises(BadRequest):
        guardrail_of(identifier, version)
    guardrail_of("gr1", "DRAFT")
    guardrail_of("arn:aws:bedrock:us-east-1:111111111111:guardrail/gr1", "12")
