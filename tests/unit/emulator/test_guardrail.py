"""The emulator's guardrails: what they find, what they count, and what their settings refuse."""

from __future__ import annotations

import pytest

from bedrock_emulator.config import ConfigError, parse
from bedrock_emulator.engine.guarded_parts import looked_of
from bedrock_emulator.engine.guardrail import Looked, assess, mask, summed
from bedrock_emulator.guardrail_settings import guardrail_from

TABLE = {
    "id": "gr1",
    "version": "3",
    "topics": {"Investment": ["stocks"]},
    "content": {"VIOLENCE": ["bomb"]},
    "words": ["darn"],
    "pii": {"EMAIL": {"pattern": r"[a-z]+@[a-z.]+", "action": "ANONYMIZE"}},
    "regexes": {"order": r"ORD-\d+"},
    "grounding": 0.5,
}


def usage(found):
    return {name: count for name, count in found.usage.items() if count}


def test_units_are_thousands_of_characters_for_each_policy_that_looks():
    guardrail = guardrail_from(TABLE)
    found = assess(guardrail, "input", Looked(["x" * 1_000, "y"], images=2))
    assert not found.intervened
    assert usage(found) == {
        "topicPolicyUnits": 2,
        "contentPolicyUnits": 2,
        "contentPolicyImageUnits": 2,
        "wordPolicyUnits": 2,
        "sensitiveInformationPolicyUnits": 2,
        "sensitiveInformationPolicyFreeUnits": 2,
    }
    assert usage(assess(guardrail, "input", Looked([]))) == {}
    assert usage(assess(guardrail_from({"id": "gr2"}), "input", Looked(["x"]))) == {}
    assert summed([found.usage, found.usage])["topicPolicyUnits"] == 4


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("about Stocks, please", "topicPolicy"),
        ("a BOMB", "contentPolicy"),
        ("darn!", "wordPolicy"),
        ("my ORD-15", "sensitiveInformationPolicy"),
        ("bombastic livestocks", None),
    ],
)
def test_what_blocks(text, policy):
    found = assess(guardrail_from(TABLE), "input", Looked([text]))
    assert found.blocked == (policy is not None)
    assert set(found.document) == {"invocationMetrics", policy} - {None}


def test_personal_data_is_masked_and_not_blocked():
    guardrail = guardrail_from(TABLE)
    found = assess(guardrail, "output", Looked(["to anna@example.com."]))
    assert (found.blocked, found.masked) == (False, True)
    assert found.texts == ["to {EMAIL}"]
    assert mask(guardrail, "input", "anna@example.com") == "{EMAIL}"


def test_an_answer_is_held_against_its_source_and_query():
    guardrail = guardrail_from(TABLE)
    block = lambda text, *of: {"text": {"text": text, "qualifiers": list(of)}}  # noqa: E731
    sources = [block("The sea is blue.", "grounding_source"), block("Colour?", "query")]
    good = assess(guardrail, "output", looked_of([*sources, {"text": {"text": "the sea is blue"}}]))
    bad = assess(guardrail, "output", looked_of([*sources, block("a red car", "guard_content")]))
    assert (good.blocked, bad.blocked) == (False, True)
    assert good.usage["contextualGroundingPolicyUnits"] == 1
    assert good.usage["topicPolicyUnits"] == 1
    assert assess(guardrail, "input", looked_of(sources)).usage[
        "contextualGroundingPolicyUnits"
    ] == 0  # fmt: skip


def test_each_side_has_its_own_policies():
    guardrail = guardrail_from({**TABLE, "input": ["words"], "output": ["topics"]})
    assert usage(assess(guardrail, "input", Looked(["stocks"]))) == {"wordPolicyUnits": 1}
    assert usage(assess(guardrail, "output", Looked(["darn"]))) == {"topicPolicyUnits": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "GR"},
        {"version": "0"},
        {"topics": ["stocks"]},
        {"topics": {"a": "stocks"}},
        {"pii": {"EMAIL": "("}},
        {"pii": {"EMAIL": {"pattern": "x", "action": "HIDE"}}},
        {"words": [""]},
        {"grounding": 1},
        {"grounding": True},
        {"input": ["everything"]},
        {"surprise": 1},
        {"blocked_input": ""},
    ],
)
def test_settings_that_are_wrong_are_refused(wrong, tmp_path):
    account = {
        "id": "111111111111",
        "credentials": [{"bearer_key": "k"}],
        "guardrails": [{**TABLE, **wrong}],
    }
    with pytest.raises(ConfigError, match="guardrails"):
        parse({"accounts": [account]}, base_dir=tmp_path)
    with pytest.raises(ConfigError, match="twice"):
        parse({"accounts": [{**account, "guardrails": [TABLE, TABLE]}]}, base_dir=tmp_path)
