"""Members of Messages bodies that no model here reads: Anthropic's validation looks at them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.messages_bodies import body

from bedrock_emulator.engine.types import EmulatedError

TOOL = {"name": "t", "input_schema": {"type": "object"}}
USED = {"type": "tool_use", "id": "1", "name": "t", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "1", "content": "a"}
FOUND = {
    "type": "search_result",
    "source": "s",
    "title": "t",
    "content": [{"type": "text", "text": "a"}],
}
PAPER = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}
THOUGHT = {"type": "thinking", "thinking": "a", "signature": "s"}
HIDDEN = {"type": "redacted_thinking", "data": "a"}
COMPUTER = {"type": "computer_20250124", "name": "computer"}
FORM = {"type": "json_schema", "schema": {"type": "object"}}


def without(block: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != name}


@pytest.mark.parametrize(
    "legal",
    [
        body([FOUND, PAPER, {**PAPER, "title": "t", "context": None}]),
        body("a", [THOUGHT, HIDDEN, USED], [{**RESULT, "is_error": True}]),
        body(system=[{"type": "text", "text": "a"}]),
        body(metadata={"user_id": "u"}),
        body(metadata={"user_id": None}),
        body(metadata=None, anthropic_beta=None, output_config=None),
        body(anthropic_beta=["b"]),
        body(output_config={"effort": "xhigh", "format": FORM}),
        body(output_config={"effort": None, "format": None}),
        body(output_format=FORM),
        body(tools=[{**TOOL, "description": None, "type": None, "cache_control": None}]),
        body(tools=[{**TOOL, "cache_control": {"type": "ephemeral", "ttl": None}}]),
        body(tools=[{"type": "text_editor_20250124", "name": "str_replace_editor"}]),
        body(tools=[{"type": "text_editor_20250429", "name": "str_replace_based_edit_tool"}]),
        body(tools=[COMPUTER], anthropic_beta=["b", "computer-use-2025-01-24"]),
        body(tools=[{"type": "tool_search_tool_regex", "name": "tool_search_tool_regex"}, TOOL]),
        body(tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_what_is_legal_is_answered(fixed, call, legal) -> None:
    fixed.answer(call(legal, "InvokeModel"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        *(
            (body("a", [without(block, name)]), f"{block['type']}.{name}: Field required")
            for block, name in (
                (THOUGHT, "thinking"),
                (THOUGHT, "signature"),
                (HIDDEN, "data"),
                (USED, "name"),
                (USED, "input"),
            )
        ),
        *(
            (body([without(FOUND, name)]), f"search_result.{name}: Field required")
            for name in ("source", "title", "content")
        ),
        (body("a", [{**THOUGHT, "signature": 1}]), "signature: Input should be a valid string"),
        (body("a", [{**HIDDEN, "data": {}}]), "data: Input should be a valid string"),
        (body("a", [{**USED, "name": 1}]), "tool_use.name: Input should be a valid string"),
        (body("a", [{**USED, "input": "{}"}]), "tool_use.input: Input should be a valid dict"),
        (body("a", [USED], [{**RESULT, "is_error": 1}]), "is_error: Input should be a valid bool"),
        (body([{**FOUND, "title": []}]), "search_result.title: Input should be a valid string"),
        (body([{**FOUND, "content": "a"}]), "search_result.content: Input should be a valid list"),
        (body([{**FOUND, "content": ["a"]}]), "content.0: Input should be a valid dictionary"),
        (body([{**FOUND, "content": [{"type": "image"}]}]), "content.0: Input tag 'image'"),
        (body([{**FOUND, "content": [{"type": "text"}]}]), "content.0.text: Field required"),
        (body("a", [USED], [{**RESULT, "content": [without(FOUND, "title")]}]), "title: Field"),
        (body([{**PAPER, "title": 1}]), "document.title: Input should be a valid string"),
        (body([{**PAPER, "context": {}}]), "document.context: Input should be a valid string"),
        (body([{"type": "image", "source": {"type": "file"}}]), "image.source: Input tag 'file'"),
        (body([{**PAPER, "source": {}}]), "document.source: Input tag 'None'"),
        (body(system=[{"type": "image", "text": "a"}]), "system.0.type: Input should be 'text'"),
        (body(metadata=[]), "metadata: Input should be a valid dictionary"),
        (body(metadata={"user_id": 1}), "metadata.user_id: Input should be a valid string"),
        (body(metadata={"tenant": "a"}), "metadata.tenant: Extra inputs are not permitted"),
        (body(anthropic_beta="b"), "anthropic_beta: Input should be a valid list"),
        (body(anthropic_beta=[1]), "anthropic_beta.0: Input should be a valid string"),
        (body(output_config=[]), "output_config: Input should be a valid dictionary"),
        (body(output_config={"effort": "much"}), "output_config.effort: Input should be 'low', "),
        (body(output_config={"format": "json"}), "output_config.format: Input should be a valid"),
        (body(tools=[COMPUTER]), "tools.0: Input tag 'computer_20250124' found using 'type'"),
        (body(output_config={"format": {"type": "xml"}}), "output_config.format: Input tag 'xml'"),
        (body(output_format={"type": "json_schema"}), "output_format.schema: Field required"),
        (body(tools=[{**TOOL, "description": 1}]), "custom.description: Input should be a valid"),
        (
            body(tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": 1}),
            "tool_choice.auto.disable_parallel_tool_use: Input should be a valid boolean",
        ),
    ],
)
def test_what_anthropic_refuses_is_refused(fixed, call, wrong, words) -> None:
    with pytest.raises(EmulatedError) as refused:
        fixed.answer(call(wrong, "InvokeModel"))
    assert words in refused.value.message
    assert (refused.value.name, refused.value.status) == ("ValidationException", 400)
