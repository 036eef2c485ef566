"""What is added to a request, what is refused of it, and the most that it can then use."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.core import CLAUDE, GPT, NOVA, RERANK, TITAN, plan

from tenantry.domain.chat_request import Clamp, prepare_converse, prepare_native
from tenantry.domain.errors import BadRequest, LargerThanLimit, ModelUnpriced

SALT = "[0123456789abcdef]"
PLAN = plan(max_tokens_ceiling=1_000, max_tokens_default=300)
CLAMPING = Clamp(allowed=True)
POINT = {"cachePoint": {"type": "default"}}
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
ASK = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
NATIVE = {"messages": [{"role": "user", "content": "hello"}]}
LLAMA = replace(GPT, id="meta.llama-test-v1:0", family="llama")
QWEN = replace(GPT, id="qwen.qwen-test-v1:0", family="qwen")
DEEPSEEK = replace(GPT, id="deepseek.test-v1:0", family="deepseek")


def test_an_absent_limit_is_the_plans_default() -> None:
    prepared = prepare_converse(ASK, CLAUDE, PLAN, None)
    assert prepared.max_tokens == 300
    assert prepared.body["inferenceConfig"] == {"maxTokens": 300}
    assert prepared.bound.output_tokens == 300
    none = prepare_converse({**ASK, "inferenceConfig": {"maxTokens": None}}, CLAUDE, PLAN, None)
    assert none.max_tokens == 300


def test_the_default_is_never_more_than_the_model_can() -> None:
    small = replace(CLAUDE, max_output=100)
    assert prepare_converse(ASK, small, PLAN, None).max_tokens == 100


def test_other_inference_parameters_stay() -> None:
    body = {**ASK, "inferenceConfig": {"temperature": 0.5, "maxTokens": 7}}
    assert prepare_converse(body, CLAUDE, PLAN, None).body["inferenceConfig"] == {
        "temperature": 0.5,
        "maxTokens": 7,
    }


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "5", [1]])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(BadRequest):
        prepare_converse({**ASK, "inferenceConfig": {"maxTokens": limit}}, CLAUDE, PLAN, None)
    with pytest.raises(BadRequest):
        prepare_native({**NATIVE, "max_tokens": limit}, CLAUDE, PLAN, None)


def test_the_ceiling_refuses_or_clamps_as_the_plan_says() -> None:
    body = {**ASK, "inferenceConfig": {"maxTokens": 1_001}}
    told = "^1001 output tokens are asked for; the plan's max_tokens_ceiling is 1000$"
    with pytest.raises(LargerThanLimit, match=told):
        prepare_converse(body, CLAUDE, PLAN, None)
    clamped = prepare_converse(body, CLAUDE, PLAN, None, CLAMPING)
    assert (clamped.max_tokens, clamped.lowered_to, clamped.asked) == (1_000, 1_000, 1_001)
    at_ceiling = {**ASK, "inferenceConfig": {"maxTokens": 1_000}}
    assert prepare_converse(at_ceiling, CLAUDE, PLAN, None).max_tokens == 1_000


NATIVE_LIMITS = [
    (CLAUDE, "max_tokens"),
    (GPT, "max_completion_tokens"),
    (LLAMA, "max_gen_len"),
    (QWEN, "max_completion_tokens"),
    (DEEPSEEK, "max_tokens"),
]


@pytest.mark.parametrize(
    ("asked", "most", "leaves"),
    [
        (900, 500, 500),
        (900, None, 900),
        (900, 1_000, 900),  # never above what was asked for
        (5_000, 400, 400),
        (5_000, 5_000, 1_000),  # nor above the plan's ceiling
        (900, 1, 256),  # nor below what an answer is worth
        (100, 1, 100),  # or was asked for
        (None, 280, 280),
    ],
)
def test_what_budgets_have_left_is_what_leaves(
    asked: int | None, most: int | None, leaves: int
) -> None:
    body = {**ASK, "inferenceConfig": {"maxTokens": asked, "topP": 0.5}}
    prepared = prepare_converse(body, CLAUDE, PLAN, None, Clamp(True, most))
    assert prepared.body["inferenceConfig"] == {"maxTokens": leaves, "topP": 0.5}
    assert (prepared.bound.output_tokens, prepared.max_tokens) == (leaves, leaves)
    wanted = 300 if asked is None else asked
    assert prepared.lowered_to == (leaves if leaves < wanted else None)
    assert prepared.least == min(256, wanted)
    for model, member in NATIVE_LIMITS:
        own = prepare_native({**NATIVE, member: asked}, model, PLAN, None, Clamp(True, most))
        assert (own.body[member], own.bound.output_tokens) == (leaves, leaves)


def test_a_lowered_limit_never_raises_the_bound_of_the_input() -> None:
    full = prepare_native({**NATIVE, "max_completion_tokens": 1_000}, GPT, PLAN, None, CLAMPING)
    less = prepare_native(
        {**NATIVE, "max_completion_tokens": 1_000}, GPT, PLAN, None, Clamp(True, 300)
    )
    assert less.bound.input_tokens <= full.bound.input_tokens


def test_what_is_set_aside_for_thinking_is_kept_and_one_more() -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 600}}
    ask = {**ASK, "inferenceConfig": {"maxTokens": 900}, "additionalModelRequestFields": thinking}
    assert prepare_converse(ask, CLAUDE, PLAN, None, Clamp(True, 256)).max_tokens == 601
    own = prepare_native(
        {**NATIVE, **thinking, "max_tokens": 900}, CLAUDE, PLAN, None, Clamp(True, 256)
    )
    assert own.max_tokens == 601


def test_nothing_is_lowered_where_the_plan_does_not_let_it() -> None:
    body = {**ASK, "inferenceConfig": {"maxTokens": 900}}
    kept = prepare_converse(body, CLAUDE, PLAN, None, Clamp(False, 300))
    assert (kept.max_tokens, kept.least, kept.lowered_to) == (900, None, None)


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (CLAUDE, ("max_tokens",)),
        (NOVA, ("inferenceConfig", "maxTokens")),
        (GPT, ("max_completion_tokens",)),
        (QWEN, ("max_completion_tokens",)),
        (DEEPSEEK, ("max_tokens",)),
        (LLAMA, ("max_gen_len",)),
    ],
)
def test_each_family_gets_its_limit_where_it_reads_it(model: Any, where: tuple[str, ...]) -> None:
    messages = ASK if model is NOVA else NATIVE
    value: Any = prepare_native(messages, model, PLAN, None).body
    for name in where:
        value = value[name]
    assert value == 300


def test_openais_older_name_of_the_limit_is_taken() -> None:
    prepared = prepare_native({**NATIVE, "max_tokens": 7}, GPT, PLAN, None)
    assert prepared.max_tokens == 7
    assert "max_completion_tokens" not in prepared.body


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        (GPT, {"max_tokens": 5, "max_completion_tokens": 900_000}),
        (QWEN, {"max_tokens": 5, "max_completion_tokens": 900_000}),
        (DEEPSEEK, {"max_completion_tokens": 900_000}),
        (CLAUDE, {"max_tokens": 5, "max_tokens_to_sample": 900_000}),
        (LLAMA, {"max_gen_len": 5, "max_tokens": 900_000}),
        (NOVA, {"inferenceConfig": {"maxTokens": 5, "max_new_tokens": 900_000}}),
        (GPT, {"n": 5}),
        (GPT, {"best_of": 5}),
        (GPT, {"service_tier": "priority"}),
        (CLAUDE, {"performanceConfig": {"latency": "optimized"}}),
    ],
)
def test_nothing_escapes_the_bound_under_another_name(model: Any, extra: dict[str, Any]) -> None:
    body = ASK if model is NOVA else NATIVE
    with pytest.raises(BadRequest):
        prepare_native({**body, **extra}, model, PLAN, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 900_000},
        {"inferenceConfig": {"maxTokens": 900_000}},
        {"inferenceConfig": {"max_new_tokens": 900_000}},
        {"max_completion_tokens": 900_000},
        {"n": 3},
        {"service_tier": "priority"},
    ],
)
def test_additional_fields_cannot_raise_the_bound(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        prepare_converse({**ASK, "additionalModelRequestFields": fields}, CLAUDE, PLAN, None)


def test_additional_fields_of_other_kinds_pass() -> None:
    fields = {"inferenceConfig": {"topK": 20}, "top_k": 5, "thinking": {"type": "adaptive"}}
    body = {**ASK, "additionalModelRequestFields": fields}
    assert prepare_converse(body, NOVA, PLAN, None).body["additionalModelRequestFields"] == fields


def test_optimised_latency_has_no_price() -> None:
    body = {**ASK, "performanceConfig": {"latency": "optimized"}}
    with pytest.raises(ModelUnpriced):
        prepare_converse(body, CLAUDE, PLAN, None)
    body = {**ASK, "performanceConfig": {"latency": "standard"}}
    assert prepare_converse(body, CLAUDE, PLAN, None).max_tokens == 300


def test_the_preamble_comes_first_and_is_in_the_bound() -> None:
    polite = plan(preamble="Be polite.", max_tokens_default=300)
    bare = prepare_converse({**ASK, "system": [{"text": "s"}]}, CLAUDE, plan(), None)
    prepared = prepare_converse({**ASK, "system": [{"text": "s"}]}, CLAUDE, polite, None)
    assert prepared.body["system"] == [{"text": "Be polite."}, {"text": "s"}]
    added = prepared.bound.input_tokens - bare.bound.input_tokens
    assert added == len("Be polite.") + 16


@pytest.mark.parametrize(
    ("model", "body", "first"),
    [
        (CLAUDE, {**NATIVE, "system": "s"}, {"type": "text", "text": "Be polite."}),
        (NOVA, ASK, {"text": "Be polite."}),
    ],
)
def test_the_preamble_of_native_bodies(model: Any, body: dict[str, Any], first: Any) -> None:
    prepared = prepare_native(body, model, plan(preamble="Be polite."), None)
    assert prepared.body["system"][0] == first


def test_the_preamble_is_a_system_message_where_there_is_no_member_for_it() -> None:
    prepared = prepare_native(NATIVE, GPT, plan(preamble="Be polite."), None)
    assert prepared.body["messages"][0] == {"role": "system", "content": "Be polite."}
    with pytest.raises(BadRequest, match="Converse"):
        prepare_native({"prompt": "x"}, LLAMA, plan(preamble="Be polite."), None)


def test_no_salt_without_a_marker_and_none_outside_the_pool() -> None:
    marked = {**ASK, "system": [{"text": "s"}, POINT]}
    assert "system" not in prepare_converse(ASK, CLAUDE, PLAN, SALT).body
    assert prepare_converse(marked, CLAUDE, PLAN, None).body["system"] == marked["system"]


def test_a_family_that_caches_unasked_is_salted_in_the_pool_without_a_marker() -> None:
    assert prepare_converse(ASK, GPT, PLAN, SALT).body["system"] == [{"text": SALT}]
    assert "system" not in prepare_converse(ASK, GPT, PLAN, None).body
    native = prepare_native(NATIVE, GPT, PLAN, SALT).body
    assert native["messages"][0] == {"role": "system", "content": SALT}


def test_a_marked_request_of_the_pool_begins_with_its_salt() -> None:
    marked = {**ASK, "system": [{"text": "s"}, POINT]}
    polite = plan(preamble="Be polite.")
    prepared = prepare_converse(marked, CLAUDE, polite, SALT)
    assert prepared.body["system"][:2] == [{"text": SALT}, {"text": "Be polite."}]
    unsalted = prepare_converse(marked, CLAUDE, polite, None)
    assert prepared.bound.input_tokens == unsalted.bound.input_tokens + len(SALT) + 16
    assert prepared.bound.cache_writes_5m


def spec(name: str, **more: Any) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {}}, **more}}


@pytest.mark.parametrize("before", [[], [POINT]])
def test_the_first_tool_that_says_anything_is_salted(before: list[Any]) -> None:
    """A prefix is tools, system, messages: an unsalted tool would be a prefix of many tenants."""
    tools = [*before, spec("a", description="does a"), spec("b"), POINT]
    for prepare in (prepare_converse, prepare_native):
        prepared = prepare({**ASK, "toolConfig": {"tools": tools}}, NOVA, PLAN, SALT)
        salted = prepared.body["toolConfig"]["tools"]
        place = len(before)
        assert salted[:place] == before
        assert salted[place]["toolSpec"]["description"] == f"{SALT}\ndoes a"
        assert salted[place + 1 :] == tools[place + 1 :]


def test_anthropics_own_tools_take_no_description() -> None:
    own = {"type": "computer_20250124", "name": "computer"}
    body = {**NATIVE, "tools": [own, {"name": "t", "input_schema": {}, **EPHEMERAL}]}
    tools = prepare_native(body, CLAUDE, PLAN, SALT).body["tools"]
    assert tools[0] == own
    assert tools[1]["description"] == SALT


def test_automatic_caching_is_salted_too() -> None:
    prepared = prepare_native({**NATIVE, **EPHEMERAL}, CLAUDE, PLAN, SALT)
    assert prepared.body["system"] == [{"type": "text", "text": SALT}]


def test_embeddings_and_reranking_have_bounds_of_their_own() -> None:
    embedding = prepare_native({"inputText": "abc"}, TITAN, PLAN, SALT)
    assert embedding.bound.embeds
    assert embedding.bound.output_tokens == 0
    assert embedding.bound.input_tokens >= 3
    cohere = replace(TITAN, family="cohere_embed")
    many = prepare_native({"texts": ["a" * 100_000, "b"]}, cohere, PLAN, None)
    assert many.bound.input_tokens == TITAN.window + 1 + 2 * 16
    assert prepare_native({"documents": ["x"] * 101}, RERANK, PLAN, None).bound.rerank_units == 2
    for documents in ([], None, "x"):
        with pytest.raises(BadRequest):
            prepare_native({"documents": documents}, RERANK, PLAN, None)


def test_what_does_not_converse_is_refused() -> None:
    for model in (TITAN, RERANK):
        with pytest.raises(BadRequest):
            prepare_converse(ASK, model, PLAN, None)
    with pytest.raises(BadRequest, match="Converse"):
        prepare_native(NATIVE, replace(GPT, family="writer"), PLAN, None)


def test_providers_that_cache_unasked_are_bounded_as_such() -> None:
    assert prepare_converse(ASK, GPT, PLAN, None).bound.caches_unasked
    assert not prepare_converse(ASK, CLAUDE, PLAN, None).bound.caches_unasked


TURN = {"role": "user", "content": [{"text": "x"}, POINT]}
BODIES = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.just({"role": "user", "content": [{"text": "x"}, POINT]}), max_size=3
        )
    },
    optional={
        "system": st.lists(st.sampled_from([{"text": "s"}, POINT]), max_size=3),
        "toolConfig": st.just({"tools": [spec("a"), POINT]}),
        "inferenceConfig": st.just({"maxTokens": 9}),
    },
)


@given(BODIES, st.sampled_from([None, SALT]), st.sampled_from(["", "Be polite."]))
def test_nothing_that_was_given_is_changed(body: Any, salt: str | None, preamble: str) -> None:
    before = copy.deepcopy(body)
    prepared = prepare_converse(body, CLAUDE, plan(preamble=preamble), salt)
    assert body == before
    assert prepared.body["messages"] == before["messages"]
