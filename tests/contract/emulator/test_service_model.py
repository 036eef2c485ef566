"""The engine's answers against botocore's model of the service: types, enums, required members."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from bedrock_emulator.engine import Call, Engine

MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")
# On the real wire, though the service's model does not have them; recorded, see test_golden.
UNMODELLED = {"serverToolUsage", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"}
UNMODELLED_VALUES = {"ToolUseType": {"tool_use"}}
TYPES: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "long": int,
    "float": (int, float),
    "boolean": bool,
    "blob": str,
}
POINT = {"cachePoint": {"type": "default", "ttl": "1h"}}
TOOL = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}
HELLO = [{"role": "user", "content": [{"text": "hello"}]}]
REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"messages": HELLO},
    "limited": {"messages": HELLO, "inferenceConfig": {"maxTokens": 1}},
    "stopped": {
        "messages": HELLO,
        "inferenceConfig": {"stopSequences": ["the"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    },
    "tool": {"messages": HELLO, "toolConfig": {"tools": [TOOL], "toolChoice": {"any": {}}}},
    "cached": {"messages": HELLO, "system": [{"text": "word " * 1_500}, POINT]},
    "thinking": {
        "messages": HELLO,
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1_024}},
    },
    "tier": {
        "messages": HELLO,
        "serviceTier": {"type": "priority"},
        "performanceConfig": {"latency": "standard"},
    },
}


def faults(value: Any, shape: Shape, path: str) -> list[str]:
    """What in a JSON value does not fit the modelled shape."""
    if getattr(shape, "is_document_type", False):
        return []
    if isinstance(shape, StructureShape):
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        known = shape.members
        found = [f"{path}.{key}: unknown" for key in set(value) - set(known) - UNMODELLED]
        found += [f"{path}.{key}: missing" for key in shape.required_members if key not in value]
        if shape.is_tagged_union and len(value) != 1:
            found.append(f"{path}: {len(value)} members of a union")
        pairs = [(key, value[key]) for key in value if key in known]
        return found + [f for k, v in pairs for f in faults(v, known[k], f"{path}.{k}")]
    if isinstance(shape, ListShape):
        return [f for i, v in enumerate(value) for f in faults(v, shape.member, f"{path}[{i}]")]
    if isinstance(shape, MapShape):
        return [f for k, v in value.items() for f in faults(v, shape.value, f"{path}.{k}")]
    if isinstance(shape, StringShape):
        allowed = {*shape.enum, *UNMODELLED_VALUES.get(shape.name, ())}
        fits = isinstance(value, str) and (not shape.enum or value in allowed)
        return [] if fits else [f"{path}: {value!r} is no {shape.name}"]
    return [] if isinstance(value, TYPES[shape.type_name]) else [f"{path}: not {shape.type_name}"]


@pytest.mark.parametrize("model", ["anthropic.claude-sonnet-4-6", "emulator.obedient-v1"])
@pytest.mark.parametrize("name", REQUESTS)
def test_converse_fits_the_service_model(name: str, model: str) -> None:
    call = Call("Converse", model, "111122223333", "us-east-1", REQUESTS[name])
    body = Engine(mode="fixed").answer(call).body
    assert faults(body, MODEL.operation_model("Converse").output_shape, "") == []


@pytest.mark.parametrize("model", ["anthropic.claude-sonnet-4-6", "emulator.obedient-v1"])
@pytest.mark.parametrize("name", REQUESTS)
def test_converse_stream_fits_the_service_model(name: str, model: str) -> None:
    call = Call("ConverseStream", model, "111122223333", "us-east-1", REQUESTS[name])
    stream = MODEL.operation_model("ConverseStream").output_shape.members["stream"]
    for event in Engine(mode="fixed").answer(call).events:
        assert faults(event.payload, stream.members[event.type], event.type) == []


def test_citations_fit_the_service_model() -> None:
    text = "Readers do not block writers in write-ahead logging."
    enabled = {"citations": {"enabled": True}}
    result = {"source": "s", "title": "t", "content": [{"text": text}], **enabled}
    sources: list[dict[str, Any]] = [
        {"document": {"name": "d", "format": "txt", "source": {"text": text}, **enabled}},
        {"document": {"name": "d", "source": {"content": [{"text": text}]}, **enabled}},
        {"searchResult": result},
    ]
    engine = Engine()
    whole = MODEL.operation_model("Converse").output_shape
    stream = MODEL.operation_model("ConverseStream").output_shape.members["stream"]
    for source in sources:
        content = [source, {"text": "Do readers block writers?"}]
        body = {"messages": [{"role": "user", "content": content}]}
        model = "anthropic.claude-sonnet-4-6"
        answer = engine.answer(Call("Converse", model, "111122223333", "us-east-1", body)).body
        assert "citationsContent" in answer["output"]["message"]["content"][0]
        assert faults(answer, whole, "") == []
        call = Call("ConverseStream", model, "111122223333", "us-east-1", body)
        for event in engine.answer(call).events:
            assert faults(event.payload, stream.members[event.type], event.type) == []


def test_count_tokens_takes_what_the_service_model_has() -> None:
    shape = MODEL.operation_model("CountTokens").input_shape.members["input"]
    assert set(shape.members) == {"converse", "invokeModel"}


def test_every_modelled_content_block_is_known() -> None:
    """A block of a new kind in the model is a block that the engine must learn."""
    from bedrock_emulator.engine.requests import content

    assert set(MODEL.shape_for("ContentBlock").members) <= content._BLOCKS
