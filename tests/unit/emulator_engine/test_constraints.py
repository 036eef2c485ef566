"""Members of Converse that the service model constrains to a set or a length."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_emulator.engine.types import EmulatedError

TEXT = {"text": "a"}
NOVA = "amazon.nova-lite-v1:0"
FORM = {"structure": {"jsonSchema": {"schema": "{}"}}}


def body(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [TEXT, *blocks]}], **more}


def result(**members: Any) -> dict[str, Any]:
    used = {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}
    answered = {"toolResult": {"toolUseId": "1", "content": [TEXT], **members}}
    turns = [("user", TEXT), ("assistant", used), ("user", answered)]
    messages = [{"role": role, "content": [block]} for role, block in turns]
    return {"messages": messages, **tool()}


def tool(**members: Any) -> dict[str, Any]:
    spec = {"name": "t", "inputSchema": {"json": {"type": "object"}}, **members}
    return {"toolConfig": {"tools": [{"toolSpec": spec}]}}


def clip(kind: str, form: Any) -> dict[str, Any]:
    return body({kind: {"format": form, "source": {"bytes": "AAAA"}}})


# Nothing but an absent member is taken for an empty one.
FALSY = [
    ("system", "array", ("", 0, {}, False)),
    ("outputConfig", "object", ("", 0, [], False)),
    ("performanceConfig", "object", ("", 0, [], False)),
]


@pytest.mark.parametrize(
    "legal",
    [
        body(performanceConfig={"latency": "standard"}),
        body(performanceConfig={"latency": "optimized"}),
        body(performanceConfig={}),
        result(status="success"),
        result(status="error"),
        body({"cachePoint": {"type": "default"}}),
        clip("video", "three_gp"),
        clip("video", "video/mp4"),
        clip("audio", "mp3"),
        body(outputConfig={"effort": "low", "textFormat": {"type": "json_schema", **FORM}}),
        body(**tool(description="d")),
        body(system=[], outputConfig={}),
        body(system=None, outputConfig=None, performanceConfig=None),
        result(content=None),
    ],
)
def test_what_is_legal_is_answered(fixed, call, legal) -> None:
    fixed.answer(call(legal, model=NOVA))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (body(performanceConfig={"latency": "warp"}), "performanceConfig.latency' .* enum value"),
        (body(performanceConfig="fast"), "expected type: object"),
        (result(status="failed"), r"messages\.2\.content\.0\.toolResult\.status' .* enum value"),
        (body({"cachePoint": {"type": "lasting"}}), r"cachePoint\.type' .* enum value set"),
        (body({"cachePoint": {}}), r"Value null at 'cachePoint\.type' .* must not be null"),
        (body(system=[TEXT, {"cachePoint": {}}]), r"cachePoint\.type' .* not be null"),
        (clip("video", "avi"), r"content\.1\.video\.format' .* enum value set: \[mkv, mov"),
        (clip("video", "video/avi"), r"video\.format' .* enum value set"),
        (clip("video", "image/mp4"), r"video\.format' .* enum value set"),
        (clip("video", []), r"video\.format' .* enum value set"),
        (clip("video", None), r"video\.format' .* must not be null"),
        (clip("audio", "mid"), r"audio\.format' .* enum value set"),
        (body(outputConfig={"textFormat": {"type": "xml", **FORM}}), r"textFormat\.type' .* enum"),
        (body(outputConfig={"textFormat": FORM}), r"textFormat\.type' .* must not be null"),
        (body(outputConfig={"effort": 5}), "expected type: string"),
        (body(outputConfig={"effort": "x" * 17}), "effort' .* less than or equal to 16"),
        (body(**tool(description="")), r"toolSpec\.description' .* greater than or equal to 1"),
        (body(**tool(description=5)), "expected type: string"),
        *(
            (body(**{name: value}), f"{name}: expected type: {kind}")
            for name, kind, values in FALSY
            for value in values
        ),
        *(({**body(), "messages": value}, "messages: expected") for value in ("", 0, {}, False)),
        (result(content=""), r"toolResult\.content: expected type: array"),
        (body({"searchResult": {"content": 0}}), r"searchResult\.source' .* must not be null"),
    ],
)
def test_what_the_service_model_does_not_allow_is_refused(fixed, call, wrong, words) -> None:
    with pytest.raises(EmulatedError, match=words) as refused:
        fixed.answer(call(wrong, model=NOVA))
    assert (refused.value.name, refused.value.status) == ("ValidationException", 400)
