"""The bound is never under what a real tokeniser counts; what has no bound is refused by name."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.core import CLAUDE, GPT, NOVA
from tests.support.tokens import token_count

from tenantry.domain.bound import (
    NESTING_MAX,
    PAGES_MAX,
    InputBound,
    bound_of_anthropic,
    bound_of_converse,
    bound_of_text_body,
)
from tenantry.domain.errors import BadRequest

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)


PICTURE = {"image": {"format": "png", "source": {"bytes": "AA"}}}


def user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


@given(TEXTS)
def test_a_text_is_never_more_tokens_than_its_bound(text: str) -> None:
    assert token_count(text) <= bound_of_converse(user({"text": text}), CLAUDE).tokens
    assert (
        token_count(text) <= bound_of_anthropic(user({"type": "text", "text": text}), CLAUDE).tokens
    )
    assert token_count(text) <= bound_of_text_body({"prompt": text}, GPT).tokens


@given(OBJECTS)
def test_json_is_never_more_tokens_than_its_bound(value: dict[str, Any]) -> None:
    spaced, tight = json.dumps(value, ensure_ascii=False), json.dumps(value, separators=(",", ":"))
    tool = {"toolUse": {"toolUseId": "t", "name": "n", "input": value}}
    bound = bound_of_converse(user(tool), CLAUDE).tokens
    assert token_count(spaced) <= bound
    if tight.isascii() and spaced.isascii():
        assert token_count(tight) <= bound


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_every_block_and_message_adds_its_own(texts: list[str]) -> None:
    one = {"messages": [{"role": "user", "content": [{"text": text} for text in texts]}]}
    many = {"messages": [{"role": "user", "content": [{"text": text}]} for text in texts]}
    of_text = sum(len(text.encode()) for text in texts)
    assert bound_of_converse(one, replace(CLAUDE, window=10**9)).tokens == (
        of_text + 16 * (len(texts) + 1)
    )
    assert bound_of_converse(many, replace(CLAUDE, window=10**9)).tokens == (
        of_text + 32 * len(texts)
    )


TINY = {"name": "f", "inputSchema": {"json": {"type": "object"}}}
FUNCTION = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    "bound",
    [
        bound_of_converse(
            {**user({"text": "a"}), "toolConfig": {"tools": [{"toolSpec": TINY}]}}, NOVA
        ),
        bound_of_anthropic({**user(), "tools": [{"name": "f", "input_schema": {}}]}, CLAUDE),
        bound_of_text_body({"messages": [], "tools": [FUNCTION]}, GPT),
        bound_of_converse({"additionalModelRequestFields": {"tools": [{"name": "f"}]}}, CLAUDE),
    ],
)
def test_offering_a_tool_brings_the_templates_instructions(bound: InputBound) -> None:
    """Recorded: 901 tokens for a Nova call with one small tool, of which the body shows 304."""
    assert bound.tokens > 901


def test_a_template_without_blocks_is_bounded_too() -> None:
    """Recorded: gpt-oss says 67 tokens before the first word."""
    assert bound_of_converse(user({"text": "a"}), GPT).tokens > 67 + 1


def test_anthropics_own_tools_add_theirs_where_the_client_runs_them() -> None:
    def tokens(*tools: Any) -> int:
        return bound_of_anthropic({**user(), "tools": list(tools)}, CLAUDE).tokens

    custom = {"type": "custom", "name": "computer_20250124"}
    assert tokens({"type": "computer_20250124", "name": "x"}) >= tokens(custom) + 735


GROUNDING = {"tools": [{"systemTool": {"name": "nova_grounding"}}]}


@pytest.mark.parametrize("kind", ["web_search_20250305", "code_execution_20250522", 7])
def test_a_tool_that_the_provider_runs_has_no_bound(kind: object) -> None:
    """Its results come back as input tokens of the same call, and it is billed by use."""
    own = {"tools": [{"type": kind, "name": "x"}]}
    with pytest.raises(BadRequest, match="has no bound"):
        bound_of_anthropic({**user(), **own}, CLAUDE)
    with pytest.raises(BadRequest, match="has no bound"):
        bound_of_converse({**user(), "additionalModelRequestFields": own}, CLAUDE)


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"toolConfig": GROUNDING}, "a tool of kind systemTool has no bound"),
        (
            {"additionalModelRequestFields": {"toolConfig": GROUNDING}},
            "additionalModelRequestFields.toolConfig is not taken: send toolConfig",
        ),
        (
            {"additionalModelRequestFields": GROUNDING},
            "a tool of kind systemTool has no bound",
        ),
    ],
)
def test_a_tool_of_nova_that_the_provider_runs_has_no_bound(
    members: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        bound_of_converse({**user(), **members}, NOVA)
    assert refused.value.message == told


def test_the_window_ends_every_bound() -> None:
    assert bound_of_converse(user({"text": "x" * 10**6}), CLAUDE).tokens == CLAUDE.window


@pytest.mark.parametrize("kind", ["video", "audio", "somethingNew"])
def test_an_unknown_kind_is_refused_by_name(kind: str) -> None:
    with pytest.raises(BadRequest, match=kind):
        bound_of_converse(user({kind: {}}), CLAUDE)
    with pytest.raises(BadRequest, match=kind):
        bound_of_anthropic(user({"type": kind}), CLAUDE)
    with pytest.raises(BadRequest, match=kind):
        bound_of_text_body(user({"type": kind}), GPT)


def test_an_image_counts_what_the_catalogue_says_or_is_refused() -> None:
    with_image = bound_of_converse(user(PICTURE), CLAUDE)
    assert with_image.tokens == CLAUDE.image_tokens_max + 32
    with pytest.raises(BadRequest, match="image"):
        bound_of_converse(user(PICTURE), NOVA)
    with pytest.raises(BadRequest, match="image"):
        bound_of_text_body(user({"type": "image_url", "image_url": {"url": "data:,x"}}), GPT)
    seeing = replace(GPT, image_tokens_max=1_000)
    body = user({"type": "image_url", "image_url": {"url": "data:,x"}})
    assert bound_of_text_body(body, seeing).tokens > 1_000
    assert bound_of_text_body({"prompt": "x", "images": ["a", "b"]}, seeing).tokens > 2_000


def test_a_document_counts_its_text_or_all_pages_that_are_read() -> None:
    def document(fmt: str, source: Any) -> dict[str, Any]:
        return user({"document": {"format": fmt, "name": "d", "source": source}})

    model = replace(CLAUDE, window=10**9)
    encoded = base64.b64encode(b"x" * 90).decode()
    assert bound_of_converse(document("txt", {"text": "abc"}), model).tokens == 3 + 1 + 32
    assert bound_of_converse(document("md", {"bytes": encoded}), model).tokens == 90 + 1 + 32
    pages = PAGES_MAX * model.page_tokens_max + 1 + 32
    assert bound_of_converse(document("pdf", {"bytes": encoded}), model).tokens == pages
    with pytest.raises(BadRequest, match="document"):
        bound_of_converse(document("pdf", {"bytes": encoded}), NOVA)
    with pytest.raises(BadRequest, match="base64"):
        bound_of_converse(document("txt", {"bytes": "%%%"}), CLAUDE)


def nested(depth: int) -> dict[str, Any]:
    block: dict[str, Any] = {"text": "x"}
    for _ in range(depth):
        block = {"toolResult": {"toolUseId": "t", "content": [block]}}
    return user(block)


def test_nesting_is_bounded() -> None:
    assert bound_of_converse(nested(NESTING_MAX), CLAUDE).tokens > 0
    with pytest.raises(BadRequest, match="nested"):
        bound_of_converse(nested(NESTING_MAX + 1), CLAUDE)


def test_json_deeper_than_the_interpreter_goes_is_refused() -> None:
    value: Any = {}
    for _ in range(100_000):
        value = [value]
    with pytest.raises(BadRequest, match="nested"):
        bound_of_text_body({"prompt": value}, GPT)


MARKED = [
    ({"system": [{"text": "s"}, {"cachePoint": {"type": "default"}}]}, True, False),
    ({"system": [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]}, True, True),
    (user({"text": "x"}, {"cachePoint": {"type": "default", "ttl": "5m"}}), True, False),
    ({"toolConfig": {"tools": [{"cachePoint": {"type": "default"}}]}}, True, False),
    (
        {"additionalModelRequestFields": {"tools": [{"cache_control": {"type": "ephemeral"}}]}},
        True,
        False,
    ),
    (user({"toolUse": {"name": "n", "input": {"cachePoint": {"ttl": "1h"}}}}), True, True),
    (user({"text": 'say "cachePoint": {"ttl": "1h"}'}), False, False),
    (user({"toolUse": {"name": "n", "input": {"x": '"cachePoint": {"ttl": "1h"}'}}}), False, False),
    ({"messages": []}, False, False),
]


@pytest.mark.parametrize(("body", "marked", "for_an_hour"), MARKED)
def test_cache_markers_are_seen_wherever_they_stand(
    body: dict[str, Any], marked: bool, for_an_hour: bool
) -> None:
    bound = bound_of_converse(body, CLAUDE)
    assert (bound.has_cache_marker, bound.cache_writes_1h) == (marked, for_an_hour)


@pytest.mark.parametrize(
    "body",
    [
        {"cache_control": {"type": "ephemeral"}},
        {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {"tools": [{"name": "t", "cache_control": {"type": "ephemeral"}}]},
        user({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}),
        user({"type": "document", "source": {"type": "content", "content": [
              {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}}),
        user({"type": "tool_result", "content": [{"type": "text", "text": "x",
              "cache_control": {"type": "ephemeral"}}]}),
    ],
)  # fmt: skip
def test_anthropic_markers_are_seen_wherever_they_stand(body: dict[str, Any]) -> None:
    assert bound_of_anthropic(body, CLAUDE).has_cache_marker


def test_an_unknown_time_to_live_has_no_price_and_is_refused() -> None:
    with pytest.raises(BadRequest, match="ttl"):
        bound_of_converse({"system": [{"cachePoint": {"ttl": "24h"}}]}, CLAUDE)
    with pytest.raises(BadRequest, match="ttl"):
        bound_of_converse({"toolConfig": {"tools": [{"cachePoint": {"ttl": "24h"}}]}}, CLAUDE)
    with pytest.raises(BadRequest, match="ttl"):
        bound_of_anthropic({"cache_control": {"ttl": "24h"}}, CLAUDE)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": "hello"},
        {"messages": [1]},
        {"messages": [{"content": "text"}]},
        {"system": "text"},
        {"toolConfig": []},
        {"toolConfig": {"tools": {"a": 1}}},
        user({"text": 7}),
        user({"cachePoint": []}),
    ],
)
def test_wrong_types_are_bad_requests(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        bound_of_converse(body, CLAUDE)


def document_in_documents(depth: int) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": "x"}
    for _ in range(depth):
        block = {"type": "document", "source": {"type": "content", "content": [block]}}
    return user(block)


def test_documents_in_documents_are_bounded_too() -> None:
    assert bound_of_anthropic(document_in_documents(NESTING_MAX), CLAUDE).tokens > 0
    with pytest.raises(BadRequest, match="nested"):
        bound_of_anthropic(document_in_documents(NESTING_MAX + 1), CLAUDE)
