"""The bound to the token: what each part of a body adds, by the module's own figures."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.support.core import CLAUDE, GPT, NOVA

from tenantry.domain.bound import (
    NESTING_MAX,
    OWN_TOOL_TOKENS,
    TOOLS_TEMPLATE_TOKENS,
    InputBound,
    bound_of_anthropic,
    bound_of_converse,
    bound_of_text_body,
)
from tenantry.domain.errors import BadRequest

MODEL = replace(CLAUDE, window=10**9)
TEXT_MODEL = replace(GPT, window=10**9, image_tokens_max=1_000)
BARE = replace(CLAUDE, image_tokens_max=0, page_tokens_max=0)
GPT_TEMPLATE = 96
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
IMAGE = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
PDF = {"document": {"format": "pdf", "name": "four", "source": {"bytes": "AAAA"}}}


def size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def document(fmt: str, **source: Any) -> dict[str, Any]:
    return {"document": {"format": fmt, "name": "four", "source": source}}


ENCODED = base64.b64encode(b"x" * 50).decode()
RESULT = {"toolResult": {"toolUseId": "ab", "content": [{"text": "xyz"}, {"json": {"é": 1}}]}}
CHUNK = {"type": "text", "text": "xyz"}
CHUNKED = {"type": "document", "source": {"type": "content", "content": [CHUNK]}}
IMAGE_CHUNK = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
USE = {"toolUse": {"toolUseId": "t", "name": "n", "input": {"é": [1]}}}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, 0),
        ({"messages": [], "system": []}, 0),
        ({"system": [{"text": "ab"}, {"text": "c"}]}, 2 * 16 + 3),
        (user(), 16),
        (user({"text": "é"}), 32 + 2),
        (user({"text": "\ud800"}), 32 + 3),
        (user({"text": "ab"}, {"text": "c"}), 48 + 3),
        (user(IMAGE), 32 + 1_600),
        (user(PDF), 32 + 4 + 100 * 4_600),
        (user({"document": {**PDF["document"], "context": "abc"}}), 32 + 4 + 3 + 460_000),
        (user(document("txt", text="é!")), 32 + 4 + 3),
        (user(document("md", bytes=ENCODED)), 32 + 4 + 50),
        (user(document("pdf", text="abc")), 32 + 4 + 3),
        (user(document("pdf", content=[{"text": "abc"}, {"text": "d"}])), 64 + 4 + 4),
        (user({"document": {"name": "four", "source": {"text": "abc"}}}), 32 + 4 + 3),
        (user(document("html", bytes="")), 32 + 4),
        (user(USE), 32 + size(USE["toolUse"])),
        (user(RESULT), 32 + 2 + 16 + 3 + 16 + size({"é": 1})),
        ({"additionalModelRequestFields": {"top_k": 5}}, size({"top_k": 5})),
        ({"additionalModelRequestFields": "odd"}, size("odd")),
        ({"outputConfig": {"a": 1}}, size({"a": 1})),
        ({"promptVariables": {"a": {"text": "b"}}}, size({"a": {"text": "b"}})),
        (
            {"toolConfig": {"tools": [SPEC, SPEC]}},
            size({"tools": [SPEC, SPEC]}) + TOOLS_TEMPLATE_TOKENS + 32,
        ),
        ({"toolConfig": {"tools": []}}, size({"tools": []})),
        (
            {"additionalModelRequestFields": {"tools": [{"type": "bash_20250124"}]}},
            size({"tools": [{"type": "bash_20250124"}]}) + TOOLS_TEMPLATE_TOKENS + 16
            + OWN_TOOL_TOKENS,
        ),
        (
            {"additionalModelRequestFields": {"tools": [{"name": "f"}, {"type": "memory_1"}]}},
            size({"tools": [{"name": "f"}, {"type": "memory_1"}]}) + TOOLS_TEMPLATE_TOKENS + 32
            + OWN_TOOL_TOKENS,
        ),
    ],
)  # fmt: skip
def test_converse_to_the_token(body: dict[str, Any], tokens: int) -> None:
    assert bound_of_converse(body, MODEL) == InputBound(tokens)


@pytest.mark.parametrize(
    "kind",
    [
        "guardContent",
        "reasoningContent",
        "citationsContent",
        "searchResult",
        "toolAddition",
        "toolRemoval",
        "json",
    ],
)
def test_every_byte_of_a_block_of_text_counts(kind: str) -> None:
    value = {"text": {"text": "é"}}
    assert bound_of_converse(user({kind: value}), MODEL).tokens == 32 + size(value)


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, 0),
        ({"system": "ab"}, 16 + 2),
        ({"system": [{"type": "text", "text": "ab"}]}, 16 + size({"type": "text", "text": "ab"})),
        ({"messages": [{"content": "é"}]}, 32 + 2),
        ({"system": "ab", "messages": [{"content": "é"}, {"content": "c"}]}, 18 + 34 + 33),
        (user(), 16),
        (user(IMAGE_CHUNK), 32 + 1_600),
        (user({"type": "document", "source": {"type": "text", "data": "abc"}}), 32 + 3),
        (user({"type": "document", "source": {"type": "base64", "data": "AA"}}), 32 + 460_000),
        (user({"type": "document", "source": {"type": "text"}}), 32),
        (user({**CHUNKED, "title": "é", "context": "abc"}), 48 + 2 + 3 + size(CHUNK)),
        (
            user({**CHUNKED, "source": {"type": "content", "content": [CHUNK, IMAGE_CHUNK]}}),
            64 + size(CHUNK) + 1_600,
        ),
        (user({**CHUNKED, "source": {"type": "content", "content": "abc"}}), 48 + 3),
        (user({**CHUNKED, "source": {"type": "content"}}), 32),
        (user({"type": "tool_result", "content": "abc"}), 32 + 16 + 3),
        (user({"type": "tool_result"}), 32),
        (
            user({"type": "tool_result", "content": [{"type": "text", "text": "a"}]}),
            48 + size({"type": "text", "text": "a"}),
        ),
        *(
            (user({"type": kind, "x": "é"}), 32 + size({"type": kind, "x": "é"}))
            for kind in ("text", "tool_use", "thinking", "redacted_thinking", "search_result")
        ),
        (
            {"tools": [{"name": "f"}, {"type": "function", "name": "g"}]},
            TOOLS_TEMPLATE_TOKENS + 32 + size({"name": "f"})
            + size({"type": "function", "name": "g"}),
        ),
        *(
            (
                {"tools": [{"type": kind}]},
                TOOLS_TEMPLATE_TOKENS + 16 + OWN_TOOL_TOKENS + size({"type": kind}),
            )
            for kind in ("bash_1", "text_editor_1", "computer_1", "memory_1")
        ),
        ({"tool_choice": {"type": "any"}}, size({"type": "any"})),
    ],
)  # fmt: skip
def test_anthropic_to_the_token(body: dict[str, Any], tokens: int) -> None:
    assert bound_of_anthropic(body, MODEL) == InputBound(tokens)


@pytest.mark.parametrize(
    ("body", "more"),
    [
        ({"prompt": "é"}, 0),
        ({"messages": [{"content": "ab"}, {"content": "c"}]}, 32),
        ({"messages": [{"content": [{"type": "text", "text": "ab"}]}]}, 32),
        ({"messages": [{"content": [{"type": "refusal", "refusal": "ab"}]}]}, 32),
        ({"messages": [{"content": [PICTURE, IMAGE_CHUNK]}]}, 48 + 2_000),
        ({"images": ["AA", "AA"], "prompt": "x"}, 2_000),
        ({"images": "AA"}, 0),
        ({"tools": [{"type": "function"}]}, TOOLS_TEMPLATE_TOKENS + 16),
    ],
)
def test_any_other_body_to_the_token(body: dict[str, Any], more: int) -> None:
    assert bound_of_text_body(body, TEXT_MODEL) == InputBound(GPT_TEMPLATE + 16 + size(body) + more)


@pytest.mark.parametrize(("ttl", "hour"), [(None, False), ("5m", False), ("1h", True)])
def test_a_marker_is_seen_wherever_it_stands(ttl: str | None, hour: bool) -> None:
    point = {"type": "default", **({"ttl": ttl} if ttl else {})}
    control = {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}
    marked = {"type": "text", "text": "a", "cache_control": control}
    for bound in (
        bound_of_converse(user({"text": "a"}, {"cachePoint": point}), MODEL),
        bound_of_converse({"system": [{"cachePoint": point}]}, MODEL),
        bound_of_converse({"toolConfig": {"tools": [SPEC, {"cachePoint": point}]}}, MODEL),
        bound_of_converse({"toolConfig": {"tools": [{"cachePoint": point}, SPEC]}}, MODEL),
        bound_of_converse({"additionalModelRequestFields": {"cache_control": control}}, MODEL),
        bound_of_anthropic(user(marked), MODEL),
        bound_of_anthropic({"system": [marked]}, MODEL),
        bound_of_anthropic({"cache_control": control}, MODEL),
        bound_of_anthropic({"tools": [{"name": "f", "cache_control": control}]}, MODEL),
        bound_of_anthropic(user({**IMAGE_CHUNK, "cache_control": control}), MODEL),
        bound_of_text_body({"a": {"cache_control": control}}, TEXT_MODEL),
    ):
        assert (bound.cache_writes_5m, bound.cache_writes_1h) == (True, hour), bound
        assert bound.has_cache_marker


def test_a_marker_of_an_hour_is_one_of_five_minutes_too() -> None:
    five = bound_of_converse(user({"cachePoint": {}}, {"cachePoint": {"ttl": "1h"}}), MODEL)
    assert (five.cache_writes_5m, five.cache_writes_1h) == (True, True)
    assert not InputBound(1).has_cache_marker
    assert InputBound(1, cache_writes_1h=True).has_cache_marker


def _nested(depth: int) -> dict[str, Any]:
    block: dict[str, Any] = {"text": "a"}
    for _ in range(depth):
        block = {"toolResult": {"content": [block]}}
    return user(block)


def _nested_native(depth: int) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": "a"}
    for _ in range(depth):
        block = {"type": "tool_result", "content": [block]}
    return user(block)


def test_nesting_has_an_end() -> None:
    assert bound_of_converse(_nested(NESTING_MAX), MODEL).tokens == 32 + 16 * NESTING_MAX + 1
    assert bound_of_anthropic(_nested_native(NESTING_MAX), MODEL).tokens > 0
    system = {"system": _nested_native(NESTING_MAX)["messages"][0]["content"]}
    assert bound_of_anthropic(system, MODEL).tokens > 0
    for bound_of, body in ((bound_of_converse, _nested), (bound_of_anthropic, _nested_native)):
        with pytest.raises(BadRequest, match=r"^content is nested too deeply$"):
            bound_of(body(NESTING_MAX + 1), MODEL)
    deep = {"messages": [], "system": _nested(NESTING_MAX + 1)["messages"][0]["content"]}
    with pytest.raises(BadRequest, match="nested too deeply"):
        bound_of_converse(deep, MODEL)
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(BadRequest, match=r"^content is nested too deeply$"):
        bound_of_converse(user({"json": value}), MODEL)


LONG = "k" * 80


@pytest.mark.parametrize(
    ("bound_of", "body", "said"),
    [
        (bound_of_converse, user({"text": 1}), "text must be a string"),
        (bound_of_converse, {"messages": 1}, "messages must be a list of objects"),
        (bound_of_converse, {"messages": [1]}, "messages must be a list of objects"),
        (bound_of_converse, {"messages": [{"content": 1}]}, "content must be a list of objects"),
        (bound_of_converse, {"toolConfig": 1}, "toolConfig must be an object"),
        (bound_of_converse, {"toolConfig": {"tools": 1}}, "tools must be a list of objects"),
        (
            bound_of_converse,
            {"toolConfig": {"tools": [{"cachePoint": 1}]}},
            "cachePoint must be an object",
        ),
        (
            bound_of_converse,
            {"toolConfig": {"tools": [{"systemTool": {}}]}},
            "a tool of kind systemTool has no bound",
        ),
        (bound_of_converse, user({"cachePoint": 1}), "cachePoint must be an object"),
        (bound_of_converse, user({"toolResult": 1}), "toolResult must be an object"),
        (bound_of_converse, user({"document": 1}), "document must be an object"),
        (bound_of_converse, user({"toolResult": {"toolUseId": 1}}), "text must be a string"),
        (
            bound_of_converse,
            user({"document": {"format": "pdf", "context": 1}}),
            "text must be a string",
        ),
        (bound_of_converse, user(document("txt", bytes=1)), "bytes must be base64 text"),
        (bound_of_converse, user(document("txt", bytes="?")), "bytes must be base64 text"),
        (
            bound_of_converse,
            user({LONG: 1}),
            f"content block of kind {LONG[:64]} is not supported",
        ),
        (
            bound_of_converse,
            user({"cachePoint": {"ttl": "2h"}}),
            "a cache point's ttl is 5m or 1h",
        ),
        (bound_of_anthropic, {"messages": 1}, "messages must be a list of objects"),
        (bound_of_anthropic, {"system": 1}, "content must be a list of objects"),
        (bound_of_anthropic, {"tools": 1}, "tools must be a list of objects"),
        (
            bound_of_anthropic,
            {"tools": [{"type": LONG}]},
            f"a tool of type {LONG[:64]} has no bound",
        ),
        (bound_of_anthropic, user({"cache_control": 1}), "cache_control must be an object"),
        (bound_of_anthropic, user({"type": "document"}), "source must be an object"),
        (bound_of_anthropic, user({**CHUNKED, "title": 1}), "text must be a string"),
        (
            bound_of_anthropic,
            user({"type": "document", "source": {"type": "content", "content": 1}}),
            "content must be a list of objects",
        ),
        *(
            (
                bound_of_converse,
                user({"document": {"format": odd, "name": "n", "source": {"bytes": "AAAA"}}}),
                "a document's format must be a string",
            )
            for odd in (["txt"], {"txt": 1}, 7, True)
        ),
        (
            bound_of_anthropic,
            user({"type": LONG}),
            f"content block of kind {LONG[:64]} is not supported",
        ),
        (bound_of_text_body, {"messages": 1}, "messages must be a list of objects"),
        (
            bound_of_text_body,
            {"messages": [{"content": [1]}]},
            "content must be a list of objects",
        ),
        (
            bound_of_text_body,
            {"messages": [{"content": [{"type": LONG}]}]},
            f"content block of kind {LONG[:64]} is not supported",
        ),
    ],
)
def test_what_has_no_bound_is_refused_in_words(bound_of: Any, body: Any, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        bound_of(body, TEXT_MODEL if bound_of is bound_of_text_body else MODEL)
    assert refused.value.message == said


def test_a_model_without_images_or_pages_takes_none() -> None:
    for bound_of, block, kind in (
        (bound_of_converse, IMAGE, "image"),
        (bound_of_converse, document("txt", text="a"), "document"),
        (bound_of_anthropic, {"type": "image"}, "image"),
        (bound_of_anthropic, {"type": "document", "source": {}}, "document"),
        (bound_of_anthropic, CHUNKED, "document"),
    ):
        with pytest.raises(BadRequest) as refused:
            bound_of(user(block), BARE)
        assert refused.value.message == f"model {BARE.id} takes no block of kind {kind}"


@pytest.mark.parametrize("model", [CLAUDE, NOVA, GPT])
def test_the_window_is_the_most(model: Any) -> None:
    small = replace(model, window=500)
    template = GPT_TEMPLATE if model is GPT else 0
    for length, tokens in ((500 - 33 - template, 499), (500 - 32 - template, 500), (10**6, 500)):
        assert bound_of_converse(user({"text": "x" * length}), small).tokens == tokens
