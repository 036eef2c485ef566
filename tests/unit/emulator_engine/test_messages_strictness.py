"""What Anthropic's own validation refuses in a Messages body."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.images import png
from tests.support.messages_bodies import body

from bedrock_emulator.engine.types import EmulatedError

TOOL = {"name": "t", "input_schema": {"type": "object"}}
USED = {"type": "tool_use", "id": "1", "name": "t", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "1", "content": "a"}
TEXT = {"type": "text", "text": "a"}


def image(media_type: Any = "image/png", data: str = png(750, 100)) -> dict[str, Any]:
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": media_type, "data": data},
    }


def used(*parts: Any) -> dict[str, Any]:
    result = {**RESULT, "content": list(parts)}
    return body("a", [USED], [result], tools=[TOOL])


def used_with(content: Any) -> dict[str, Any]:
    return body("a", [USED], [{**RESULT, "content": content}], tools=[TOOL])


def thinking(**members: Any) -> dict[str, Any]:
    return body(thinking={"type": "enabled", **members})


@pytest.mark.parametrize(
    "legal",
    [
        body("a", []),
        body("a", ""),
        body("a", "so"),
        body("a", [USED], [RESULT], tools=[TOOL]),
        body("a", [USED, {**USED, "id": "2"}], [{**RESULT, "tool_use_id": "2"}, RESULT]),
        {
            **body(),
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [USED]},
                {"role": "assistant", "content": [{**USED, "id": "2"}]},
                {"role": "user", "content": [{**RESULT, "tool_use_id": "2"}]},
                {"role": "user", "content": [RESULT]},
            ],
        },
        used(),
        used({"type": "text", "text": ""}, image()),
        thinking(budget_tokens=1_999),
        thinking(budget_tokens=1_024),
        {**thinking(budget_tokens=5_000), "anthropic_beta": ["interleaved-thinking-2025-05-14"]},
        body(thinking={"type": "adaptive"}),
        body(thinking={"type": "disabled"}),
        body(tool_choice={"type": "auto"}),
        body(tools=[TOOL], tool_choice={"type": "any"}),
        body(tools=[{"type": "bash_20250124", "name": "bash"}], tool_choice={"type": "any"}),
        body(tools=[{**TOOL, "name": "a_B-9" + "x" * 123}]),
        body(top_k=5),
        body(top_k=0),
        {**thinking(budget_tokens=1_024), "temperature": 1},
        {**thinking(budget_tokens=1_024), "temperature": 1.0},
        body(thinking={"type": "disabled"}, temperature=0.5),
        {**thinking(budget_tokens=1_024), "tools": [TOOL], "tool_choice": {"type": "auto"}},
        body(thinking={"type": "disabled"}, tools=[TOOL], tool_choice={"type": "any"}),
        *(body([image(f"image/{kind}")]) for kind in ("jpeg", "png", "gif", "webp")),
    ],
)
def test_what_is_legal_is_answered(fixed, call, legal) -> None:
    fixed.answer(call(legal, "InvokeModel"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (body([RESULT]), r"messages\.0\.content\.0: unexpected `tool_use_id`"),
        (body("a", [USED], [RESULT], [TEXT], [RESULT]), r"messages\.4\.content\.0: unexpected"),
        (body("a", [USED], "b"), r"messages\.2: `tool_use` ids were found .* after: 1\."),
        (body("a", [USED], [{**RESULT, "tool_use_id": "2"}]), "unexpected `tool_use_id`"),
        (body("a", [{**USED, "id": None}]), r"tool_use\.id: Field required"),
        (body([{**RESULT, "tool_use_id": 1}]), r"tool_result\.tool_use_id: Field required"),
        (body([USED]), "`tool_use` blocks can only be in `assistant`"),
        (body("a", [RESULT]), "`tool_result` blocks can only be in `user`"),
        (used({"type": "tool_use"}), r"tool_result\.content\.0: Input tag 'tool_use'"),
        (used(image(data="bm9uZQ==")), "Could not process image"),
        (used(image(data="%")), "invalid base64"),
        (used({"type": "document", "source": {"type": "base64"}}), "invalid base64"),
        (body("a", [], "b"), r"messages\.1: all messages must have non-empty content"),
        (body([]), r"messages\.0: all messages must have non-empty content"),
        (body("a", "so "), "cannot end with trailing whitespace"),
        (body("a", [TEXT, {"type": "text", "text": "b\n"}]), "cannot end with trailing"),
        (thinking(), r"thinking\.enabled\.budget_tokens: Input should be a valid integer"),
        (thinking(budget_tokens=True), "valid integer"),
        (thinking(budget_tokens=1_023), "greater than or equal to 1024"),
        (thinking(budget_tokens=2_000), "`max_tokens` must be greater than"),
        (body(thinking={"type": "much"}), "thinking: Input tag 'much' found"),
        (body(thinking="enabled"), "thinking: Input should be a valid dictionary"),
        (body(tool_choice={"type": "any"}), "only be specified while providing tools"),
        (body(tool_choice={"type": "tool", "name": "t"}), "only be specified while providing"),
        (body(tools=[TOOL], tool_choice={"type": "some"}), "tool_choice: Input tag 'some'"),
        (body(tools=[TOOL], tool_choice="any"), "tool_choice: Input should be a valid dict"),
        (body(tools=[{**TOOL, "name": "a b"}]), r"tools\.0\.custom\.name: String should match"),
        (body(tools=[{**TOOL, "name": "x" * 129}]), "String should match pattern"),
        (body(tools=[{**TOOL, "name": ""}]), "String should match pattern"),
        (body(tools=[{**TOOL, "input_schema": {}}]), r"input_schema\.type: Input should be"),
        (body(tools=[{**TOOL, "input_schema": {"type": "array"}}]), "Input should be 'object'"),
        (body([{**TEXT, "cache_control": {"type": "lasting"}}]), "cache_control: Input tag 'last"),
        (body([{**TEXT, "cache_control": {}}]), "cache_control: Input tag 'None'"),
        (body([image("image/tiff")]), r"image\.source\.base64\.media_type: Input should be one of"),
        (body([image(None)]), "media_type: Input should be one of"),
        (body(top_k=0.5), "top_k: Input should be a valid integer"),
        (body(top_k=True), "top_k: Input should be a valid integer"),
        (body(top_k=-1), "top_k: Input should be greater than or equal to 0"),
        (
            {**thinking(budget_tokens=1_024), "temperature": 0.5},
            "`temperature` may only be set to 1 when thinking is enabled",
        ),
        (body(thinking={"type": "adaptive"}, temperature=0), "`temperature` may only be set to 1"),
        *(
            (
                {**thinking(budget_tokens=1_024), "tools": [TOOL], "tool_choice": choice},
                "Thinking may not be enabled when tool_choice forces tool use",
            )
            for choice in ({"type": "any"}, {"type": "tool", "name": "t"})
        ),
        *((body(tools=wrong), "tools: Input should be a valid list") for wrong in ("", 0, {})),
        (used_with(0), r"tool_result\.content: Input should be a valid list"),
    ],
)
def test_what_anthropic_refuses_is_refused(fixed, call, wrong, words) -> None:
    with pytest.raises(EmulatedError, match=words) as refused:
        fixed.answer(call(wrong, "InvokeModel"))
    assert (refused.value.name, refused.value.status) == ("ValidationException", 400)


def test_images_and_documents_of_a_tool_s_result_cost_what_they_cost_elsewhere(fixed, call) -> None:
    def counted(*parts: Any) -> int:
        return fixed.prepare(call(used(*parts), "InvokeModel")).input_tokens

    bare = counted(TEXT)
    assert counted(TEXT, image()) == bare + 100
    document = {"type": "text", "media_type": "text/plain", "data": "many words " * 50}
    assert counted(TEXT, {"type": "document", "source": document}) > bare + 90
