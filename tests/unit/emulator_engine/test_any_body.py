"""No body, however wrong, brings out anything but an answer or a refusal in Bedrock's shape."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.images import png

from bedrock_emulator.engine import Call, EmulatedError, Engine, Operation
from bedrock_emulator.guardrail_settings import guardrail_from

GUARDRAIL = guardrail_from(
    {"id": "gr1", "version": "1", "topics": {"none": ["zzz"]}, "grounding": 0.5}
)
ENGINE = Engine(mode="fixed", guardrails=lambda *_: GUARDRAIL)
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
TOOLS = {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}]}
CONVERSE = {
    "messages": [
        {"role": "user", "content": [{"text": "a"}, {"cachePoint": {"type": "default"}}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "1", "content": [{"json": {}}]}},
                {"searchResult": {"source": "s", "title": "t", "content": [{"text": "c"}]}},
                {"image": {"format": "png", "source": {"bytes": png()}}},
                {"document": {"name": "d", "format": "txt", "source": {"bytes": "AAAA"}}},
                {"text": "b"},
                {"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}},
            ],
        },
    ],
    "system": [{"text": "s"}, {"cachePoint": {"type": "default"}}],
    "inferenceConfig": {"maxTokens": 1_100, "temperature": 1, "stopSequences": ["x"]},
    "toolConfig": {**TOOLS, "toolChoice": {"auto": {}}},
    "serviceTier": {"type": "flex"},
    "requestMetadata": {"k": "v"},
    "outputConfig": {
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{}"}}}
    },
    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1_024}},
    "additionalModelResponseFieldPaths": ["/stop_sequence"],
}
GUARDED = {"guardrailIdentifier": "gr1", "guardrailVersion": "1", "trace": "enabled"}
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": png()},
}
ANTHROPIC = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 1_100,
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                IMAGE,
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "a"},
                },
                {
                    "type": "document",
                    "source": {
                        "type": "content",
                        "content": [
                            {"type": "text", "text": "a"},
                            IMAGE,
                        ],
                    },
                },
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "1", "name": "t", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "1",
                    "content": [{"type": "text", "text": "b"}, IMAGE],
                },
            ],
        },
    ],
    "system": [{"type": "text", "text": "s"}],
    "tools": [{"name": "t", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1_024},
    "top_k": 5,
    "stop_sequences": ["x"],
}
CHAT = {
    "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
    "max_completion_tokens": 5,
    "stop": ["x"],
    "tools": [{"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "t"}},
    "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
}
TITAN = {"inputText": "a", "dimensions": 256, "normalize": True, "embeddingTypes": ["binary"]}
COHERE = {"texts": ["a"], "input_type": "search_query", "embedding_types": ["int8"]}
COHERE_INPUTS = {
    "inputs": [{"content": [{"type": "text", "text": "a"}]}],
    "input_type": "search_query",
    "truncate": "LEFT",
    "max_tokens": 5,
    "embedding_types": ["ubinary"],
}
NOVA_EMBED = {
    "schemaVersion": "nova-multimodal-embed-v1",
    "taskType": "SINGLE_EMBEDDING",
    "singleEmbeddingParams": {
        "embeddingPurpose": "GENERIC_INDEX",
        "embeddingDimension": 256,
        "text": {"value": "a", "truncationMode": "END"},
    },
}
BODIES: list[tuple[Operation, str, dict[str, Any]]] = [
    ("Converse", CLAUDE, CONVERSE),
    ("ConverseStream", "amazon.nova-lite-v1:0", CONVERSE),
    ("Converse", CLAUDE, CONVERSE | {"guardrailConfig": GUARDED}),
    ("InvokeModel", CLAUDE, ANTHROPIC),
    ("InvokeModelWithResponseStream", CLAUDE, ANTHROPIC),
    ("InvokeModel", "openai.gpt-oss-20b-1:0", CHAT),
    ("InvokeModelWithResponseStream", "openai.gpt-oss-20b-1:0", CHAT),
    ("InvokeModel", "meta.llama3-1-8b-instruct-v1:0", {"prompt": "a", "max_gen_len": 5}),
    ("InvokeModel", "mistral.mistral-7b-instruct-v0:2", {"prompt": "a", "stop": ["x"]}),
    ("InvokeModel", "deepseek.r1-v1:0", {"prompt": "a", "max_tokens": 5}),
    ("InvokeModel", "amazon.titan-embed-text-v2:0", TITAN),
    ("InvokeModel", "cohere.embed-english-v3", COHERE),
    ("InvokeModel", "cohere.embed-v4:0", {**COHERE, "output_dimension": 256}),
    ("InvokeModel", "cohere.embed-v4:0", COHERE_INPUTS),
    ("InvokeModel", "amazon.nova-2-multimodal-embeddings-v1:0", NOVA_EMBED),
    ("InvokeModel", "amazon.titan-embed-image-v1", {"inputText": "a", "embeddingConfig": {}}),
]


def paths(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    below = [
        path
        for key, value in items
        for path in (paths(value, (*here, key)) if isinstance(value, dict | list) else [])
    ]
    keys = node if isinstance(node, dict) else range(len(node))
    return [*((*here, key) for key in keys), *below]


@given(st.data())
def test_a_body_with_one_wrong_member_is_answered_or_refused(data: st.DataObject) -> None:
    operation, model, valid = data.draw(st.sampled_from(BODIES))
    body = copy.deepcopy(valid)
    path = data.draw(st.sampled_from(paths(body)))
    node: Any = body
    for key in path[:-1]:
        node = node[key]
    action = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if action == "replace":
        node[path[-1]] = data.draw(JSON)
    elif action == "remove":
        del node[path[-1]]
    elif isinstance(node, dict):
        node[data.draw(st.text(min_size=1, max_size=8))] = data.draw(JSON)
    run(Call(operation, model, "111122223333", "us-east-1", body))


@given(st.sampled_from(BODIES), JSON)
def test_a_body_that_is_nothing_at_all_is_refused(
    shape: tuple[Operation, str, dict[str, Any]], body: Any
) -> None:
    run(Call(shape[0], shape[1], "111122223333", "us-east-1", body))
    try:
        count = Call("CountTokens", CLAUDE, "111122223333", "us-east-1", body)
        ENGINE.count_tokens(count)
    except EmulatedError as refusal:
        assert 400 <= refusal.status < 500


def test_a_body_nested_too_deeply_is_refused() -> None:
    deep: Any = {}
    for _ in range(5_000):
        deep = {"a": deep}
    tool = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object", "x": deep}}}}
    body = {
        "messages": [{"role": "user", "content": [{"text": "a"}]}],
        "toolConfig": {"tools": [tool]},
    }
    for nested in (deep, body, CONVERSE | {"additionalModelRequestFields": deep}):
        run(Call("Converse", CLAUDE, "111122223333", "us-east-1", nested))
        counted = {"input": {"converse": nested}}
        with contextlib.suppress(EmulatedError):
            ENGINE.count_tokens(Call("CountTokens", CLAUDE, "111122223333", "us-east-1", counted))


def test_the_untouched_bodies_are_answered() -> None:
    for operation, model, body in BODIES:
        if model.startswith("amazon.nova-lite"):
            continue  # Nova refuses a second class of cache life and Claude's blocks
        answer = ENGINE.answer(Call(operation, model, "111122223333", "us-east-1", body))
        assert answer.body or answer.events


def run(call: Call) -> None:
    try:
        answer = ENGINE.answer(call)
    except EmulatedError as refusal:
        assert 400 <= refusal.status < 500 and refusal.message
    else:
        assert (answer.body is None) != (not answer.events)
