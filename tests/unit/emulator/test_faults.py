"""When rules act, and what several of them do together."""

from __future__ import annotations

import pytest

from bedrock_emulator.engine.types import TokenUsage
from bedrock_emulator.faults import NO_FAULT, RULES_MAX, RuleBook, Subject


def subject(**changes) -> Subject:
    members = {
        "model_id": "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "account": "111111111111",
        "region": "us-east-1",
        "operation": "Converse",
        "request_metadata": {"tid": "a", "env": "test"},
        **changes,
    }
    return Subject(**members)


def book(*rules) -> RuleBook:
    made = RuleBook()
    made.add(list(rules))
    return made


THROTTLE = {"kind": "throttle"}


@pytest.mark.parametrize(
    ("match", "other"),
    [
        ({"model": "anthropic.*"}, {"model_id": "amazon.nova-lite-v1:0"}),
        ({"account": "111111111111"}, {"account": "222222222222"}),
        ({"region": "us-*"}, {"region": "eu-central-1"}),
        ({"operation": "Converse"}, {"operation": "ConverseStream"}),
        ({"request_metadata": {"tid": "a"}}, {"request_metadata": {"tid": "b"}}),
        ({"request_metadata": {"tid": "a"}}, {"request_metadata": {}}),
    ],
)
def test_each_member_of_a_match(match, other):
    rules = book({"match": match, "action": THROTTLE})
    assert rules.plan(subject(**other)) == NO_FAULT
    assert rules.plan(subject()).ending.kind == "throttle"


@pytest.mark.parametrize(
    ("when", "acts"),
    [
        ({}, "xxxxx"),
        ({"nth": 3}, "..x.."),
        ({"times": 2}, "xx..."),
        ({"nth": 2, "times": 2}, ".xx.."),
        ({"probability": 0}, "....."),
    ],
)
def test_counting(when, acts):
    rules = book({**when, "action": THROTTLE})
    rules_and_others = [(subject(), rules.plan(subject()).ending) for _ in range(5)]
    assert "".join("x" if ending else "." for _, ending in rules_and_others) == acts


@pytest.mark.parametrize(
    "asked", ["Converse*", "*Stream", "Rerank", "ApplyGuardrail", "Count?okens"]
)
def test_an_operation_that_is_there_may_be_matched(asked):
    book({"match": {"operation": asked}, "action": THROTTLE})


@pytest.mark.parametrize("asked", ["converse", "ConverseSteam", "CreateInferenceProfile", ""])
def test_an_operation_that_no_rule_can_act_on_is_refused(asked):
    with pytest.raises(ValueError, match=r"match\.operation .* is none of Converse, "):
        book({"match": {"operation": asked}, "action": THROTTLE})


LIES = {"kind": "rubbish", "what": "usage", "usage": {}}
TOKENS = [
    ({"kind": "slow_tokens", "delay_ms": 1}, ("output",)),
    ({"kind": "stop_on_hangup"}, ("output",)),
    ({"kind": "usage", "input": 1}, ("output", "input")),
    (LIES, ("output", "input")),
    ({"kind": "rubbish", "what": "html"}, ("output", "input", "none")),
    ({"kind": "slow_first_token", "delay_ms": 1}, ("output", "input", "none")),
    (THROTTLE, ("output", "input", "none")),
]


@pytest.mark.parametrize(("action", "acts_on"), TOKENS)
def test_a_rule_matches_no_call_to_which_it_does_nothing(action, acts_on):
    """Embeddings have input alone, rerankers no tokens at all."""
    for metered in ("output", "input", "none"):
        rules = book({"action": action})
        rules.plan(subject(operation="InvokeModel", metered=metered))
        [rule] = rules.list()
        assert rule["matched"] == rule["acted"] == (metered in acts_on)


@pytest.mark.parametrize("operation", ["Rerank", "CountTokens", "ApplyGuardrail"])
@pytest.mark.parametrize("action", [action for action, acts_on in TOKENS if "none" not in acts_on])
def test_what_needs_tokens_is_refused_where_there_are_none(action, operation):
    rule = {"match": {"operation": operation}, "action": action}
    if operation == "ApplyGuardrail" and action is LIES:  # its usage are units
        book(rule)
        return
    with pytest.raises(ValueError, match=f"{action['kind']} does nothing to {operation}"):
        book(rule)


@pytest.mark.parametrize("kind", [None, [], {}, 1, "hung"])
def test_a_kind_that_is_none_is_refused(kind):
    with pytest.raises(ValueError, match=r"action\.kind must be one of"):
        book({"action": {"kind": kind}})


def test_a_member_without_a_value_is_left_out():
    rules = book(
        {"action": {"kind": "error", "status": None}},
        {"action": {"kind": "slow_tokens", "delay_ms": None}},
    )
    plan = rules.plan(subject())
    assert (plan.ending.status, plan.token_ms) == (500, 0)


def test_a_call_that_does_not_match_is_not_counted():
    rules = book({"match": {"account": "111111111111"}, "nth": 2, "action": THROTTLE})
    for name in ("111111111111", "222222222222", "222222222222"):
        assert rules.plan(subject(account=name)).ending is None
    assert rules.plan(subject()).ending is not None


def test_a_seed_decides_alone():
    def drawn(seed):
        rules = book({"probability": 0.3, "seed": seed, "action": THROTTLE})
        return [rules.plan(subject()).ending is not None for _ in range(400)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert 80 < sum(drawn(1)) < 160


def test_rules_act_together_and_the_first_ending_holds():
    rules = book(
        {"action": {"kind": "slow_tokens", "delay_ms": 3}},
        {"action": {"kind": "slow_first_token", "delay_ms": 20}},
        {"action": {"kind": "slow_tokens", "delay_ms": 4}},
        {"action": {"kind": "cut", "after_events": 2}},
        {"action": THROTTLE},
        {"action": {"kind": "stop_on_hangup"}},
    )
    plan = rules.plan(subject())
    assert (plan.token_ms, plan.first_token_ms, plan.stop_on_hangup) == (7, 20, True)
    assert plan.ending.kind == "cut"


def test_the_first_usage_holds_and_classes_left_out_are_none():
    rules = book(
        {"action": {"kind": "usage", "input": 45, "output": 511, "cache_write_1h": 7}},
        {"action": {"kind": "usage", "input": 1}},
        {"action": THROTTLE},
    )
    plan = rules.plan(subject())
    assert plan.usage == TokenUsage(input=45, output=511, cache_write_1h=7)
    assert plan.ending.kind == "throttle"


@pytest.mark.parametrize(
    "members",
    [{}, {"input": -1}, {"output": 1.5}, {"input": True}, {"tokens": 3}, {"bill": "none"}],
)
def test_a_usage_that_cannot_be_is_refused(members):
    with pytest.raises(ValueError, match=r"usage|input|output"):
        book({"action": {"kind": "usage", **members}})


def test_the_number_of_rules_has_a_limit():
    rules = book(*[{"action": THROTTLE}] * RULES_MAX)
    with pytest.raises(ValueError, match="more than"):
        rules.add([{"action": THROTTLE}])
    rules.clear()
    assert rules.add([{"action": THROTTLE}]) == [RULES_MAX + 1]
    assert rules.list() == [{"id": RULES_MAX + 1, "kind": "throttle", "matched": 0, "acted": 0}]
