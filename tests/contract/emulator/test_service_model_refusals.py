"""Every member of Converse's service model, made wrong one by one: none is answered."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape
from tests.support.images import png

from bedrock_emulator.engine import Call, EmulatedError, Engine

MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")
CLAUDE = "anthropic.claude-sonnet-4-6"
NOVA = "amazon.nova-pro-v1:0"
SPEC = {"name": "t", "description": "d", "inputSchema": {"json": {"type": "object"}}}
IMAGE = {"image": {"format": "png", "source": {"bytes": png()}}}
SEARCH = {
    "searchResult": {
        "source": "s",
        "title": "t",
        "content": [{"text": "a"}],
        "citations": {"enabled": True},
    }
}
PLACE = {"documentIndex": 0, "start": 0, "end": 1}
FOUND = {"searchResultIndex": 0, "start": 0, "end": 1}
LOCATIONS: list[dict[str, Any]] = [
    {"web": {"url": "u", "domain": "d"}},
    {"documentChar": PLACE},
    {"documentPage": PLACE},
    {"documentChunk": PLACE},
    {"searchResultLocation": FOUND},
]
CITATIONS = [
    {"title": "t", "source": "s", "sourceContent": [{"text": "a"}], "location": location}
    for location in LOCATIONS
]
REFERENCE = {"tool": {"type": "tool", "name": "t", "serverName": "s"}}


def document(name: str, **source: Any) -> dict[str, Any]:
    more = {"context": "c", "citations": {"enabled": True}}
    return {"document": {"name": name, "format": "txt", "source": source, **more}}


def turns(*blocks: list[Any]) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": content} for n, content in enumerate(blocks)]


CLAUDES: dict[str, Any] = {
    "messages": turns(
        [
            {"text": "a"},
            IMAGE,
            document("d1", text="a"),
            document("d2", content=[{"text": "a"}]),
            document("d3", bytes="YSBjYXQ="),
            SEARCH,
            {"guardContent": {"text": {"text": "a", "qualifiers": ["query"]}}},
            {"guardContent": IMAGE},
            {"toolAddition": REFERENCE},
            {"toolRemoval": REFERENCE},
            {"cachePoint": {"type": "default", "ttl": "5m"}},
        ],
        [
            {"reasoningContent": {"reasoningText": {"text": "a", "signature": "s"}}},
            {"reasoningContent": {"redactedContent": "YSBjYXQ="}},
            {"citationsContent": {"content": [{"text": "a"}], "citations": CITATIONS}},
            {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}},
        ],
        [
            {
                "toolResult": {
                    "toolUseId": "1",
                    "status": "success",
                    "content": [
                        {"text": "a"},
                        {"json": {}},
                        IMAGE,
                        SEARCH,
                        document("d4", text="a"),
                    ],
                }
            }
        ],
    ),
    "system": [{"text": "a"}, {"guardContent": {"text": {"text": "a"}}}],
    "inferenceConfig": {"maxTokens": 9, "temperature": 1.0, "topP": 0.5, "stopSequences": ["z"]},
    "toolConfig": {"tools": [{"toolSpec": {**SPEC, "strict": True}}], "toolChoice": {"auto": {}}},
    "additionalModelResponseFieldPaths": ["/stop_sequence"],
    "requestMetadata": {"a": "b"},
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "default"},
    "outputConfig": {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": "{}", "name": "n", "description": "d"}},
        },
        "effort": "low",
    },
}
LIES = {"s3Location": {"uri": "s3://bucket/a", "bucketOwner": "123456789012"}}
NOVAS: dict[str, Any] = {
    "messages": turns(
        [
            {"text": "a"},
            {"image": {"format": "png", "source": LIES}},
            {"video": {"format": "mp4", "source": LIES}},
            {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
            {"audio": {"format": "mp3", "source": LIES}},
            document("d1", **LIES),
        ]
    ),
    "toolConfig": {
        "tools": [{"systemTool": {"name": "nova_grounding"}}, {"toolSpec": SPEC}],
        "toolChoice": {"tool": {"name": "t"}},
    },
}
# Taken all the same: a member that is not known, as by the service; and what is null or is left
# out of a tool's result, as clients do.
TOLERATED = {("toolResult", "without content")}
# Optional by the service model, but not with these messages.
NEEDED = ("messages", "toolConfig")


def places(shape: Shape, value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, Shape, Any]]:
    yield path, shape, value
    if getattr(shape, "is_document_type", False):
        return
    if isinstance(shape, StructureShape):
        for key, member in value.items():
            yield from places(shape.members[key], member, (*path, key))
    elif isinstance(shape, ListShape):
        for index, item in enumerate(value):
            yield from places(shape.member, item, (*path, index))


def wrongs(shape: Shape, value: Any) -> Iterator[tuple[str, Any]]:
    """What stands at a place against the service model, each with a name."""
    if getattr(shape, "is_document_type", False):
        return
    kinds: dict[str, Any] = {"structure": {}, "map": {}, "list": [], "boolean": True}
    other = {"text": "text", "number": 5, "object": {}, "array": [], "flag": True}
    own = type(kinds.get(shape.type_name, "" if shape.type_name in ("string", "blob") else 5))
    yield from ((name, item) for name, item in other.items() if type(item) is not own)
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            yield f"without {name}", {key: it for key, it in value.items() if key != name}
        if shape.is_tagged_union:
            second = next((name for name in shape.members if name not in value), "second")
            yield from (("none", {}), ("unknown", {"unknown": {}}), ("two", {**value, second: {}}))
    yield from bounds(shape, value)


def bounds(shape: Shape, value: Any) -> Iterator[tuple[str, Any]]:
    limits = shape.metadata
    if getattr(shape, "enum", None):
        yield "no such", "no such"
    if shape.type_name in ("string", "list", "blob"):
        if limits.get("min"):
            yield "short", value[:0]
        if limits.get("max"):
            yield "long", (value * (limits["max"] + 1))[: limits["max"] + 1]
        if "pattern" in limits:
            yield "pattern", "!<>"
    elif shape.type_name in ("integer", "float"):
        yield from (("low", limits["min"] - 1),) if "min" in limits else ()
        yield from (("high", limits["max"] + 1),) if "max" in limits else ()


def placed(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(body)
    at: Any = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return made


def cases(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    shape = MODEL.operation_model("Converse").input_shape
    for path, at, value in places(shape, body, ()):
        for name, wrong in wrongs(at, value) if path else ():
            if (path[-1], name) not in TOLERATED:
                yield f"{'.'.join(map(str, path))} {name}", placed(body, path, wrong)


@pytest.mark.parametrize(("model", "body"), [(CLAUDE, CLAUDES), (NOVA, NOVAS)])
def test_no_member_is_answered_that_the_service_model_refuses(
    model: str, body: dict[str, Any]
) -> None:
    engine = Engine(mode="fixed")
    engine.prepare(Call("Converse", model, "111122223333", "us-east-1", body))
    answered = []
    for name, wrong in cases(body):
        try:
            engine.prepare(Call("Converse", model, "111122223333", "us-east-1", wrong))
        except EmulatedError as refusal:
            assert (refusal.name, refusal.status) == ("ValidationException", 400), name
        else:
            answered.append(name)
    assert answered == []


@pytest.mark.parametrize(("model", "body"), [(CLAUDE, CLAUDES), (NOVA, NOVAS)])
def test_an_optional_member_may_be_null_as_if_it_was_left_out(
    model: str, body: dict[str, Any]
) -> None:
    engine, refused = Engine(mode="fixed"), []
    shape = MODEL.operation_model("Converse").input_shape
    for path, at, value in places(shape, body, ()):
        free = isinstance(at, StructureShape) and not at.is_document_type
        if not free or at.is_tagged_union:
            continue
        for name in set(value) - {*at.required_members, *NEEDED}:
            made = placed(body, (*path, name), None)
            try:
                engine.prepare(Call("Converse", model, "111122223333", "us-east-1", made))
            except EmulatedError as refusal:
                refused.append((*path, name, refusal.message))
    assert refused == []
