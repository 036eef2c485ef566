"""Documents in a conversation: named as Bedrock takes names, each name once."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.images import png

from bedrock_emulator.engine.types import EmulatedError


def asked(*turns: list[str]) -> dict[str, Any]:
    """Turns of the user with documents of these names, answered in between."""
    messages: list[dict[str, Any]] = []
    for names in turns:
        blocks: list[dict[str, Any]] = [{"text": "What is in it?"}]
        for name in names:
            source = {"bytes": "YSBjYXQ="}
            blocks.append({"document": {"format": "txt", "name": name, "source": source}})
        messages.append({"role": "user", "content": blocks})
        messages.append({"role": "assistant", "content": [{"text": "A cat."}]})
    return {"messages": messages[:-1]}


def test_documents_are_told_apart_by_name(fixed, call) -> None:
    fixed.answer(call(asked(["Notes (1)", "Notes [2]"], ["a-b c"])))


@pytest.mark.parametrize("turns", [(["a", "a"],), (["a"], ["a"])])
def test_a_name_twice_in_a_conversation_is_refused(fixed, call, turns) -> None:
    with pytest.raises(EmulatedError, match="duplicate document names: a"):
        fixed.answer(call(asked(*turns)))


@pytest.mark.parametrize("name", ["a.b", "a/b", "a_b", "a  b", "\u00e9", "", "a" * 201])
def test_a_name_that_bedrock_does_not_take_is_refused(fixed, call, name) -> None:
    with pytest.raises(EmulatedError, match="file name can only contain"):
        fixed.answer(call(asked([name])))


def test_a_tool_may_have_returned_nothing(fixed, call) -> None:
    """Bedrock refuses a blank text in a message, and takes one in a tool's result."""
    used = {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}
    spec = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}

    def body(*content: dict[str, Any]) -> dict[str, Any]:
        result = {"toolResult": {"toolUseId": "1", "content": list(content)}}
        turns = [("user", {"text": "a"}), ("assistant", used), ("user", result)]
        messages = [{"role": role, "content": [block]} for role, block in turns]
        return {"messages": messages, "toolConfig": {"tools": [spec]}}

    for content in ([], [{"text": ""}], [{"text": " \n"}], [{"json": {}}]):
        fixed.answer(call(body(*content)))


def native(source: Any) -> dict[str, Any]:
    blocks = [{"type": "text", "text": "a"}, {"type": "document", "source": source}]
    messages = [{"role": "user", "content": blocks}]
    return {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": messages}


def content(*blocks: Any) -> dict[str, Any]:
    return {"type": "content", "content": list(blocks)}


def text(value: Any) -> dict[str, Any]:
    return {"type": "text", "text": value}


IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": png(750, 100)},
}
WORDS = "many words " * 50


def test_an_anthropic_document_of_text_counts_its_text(fixed, call) -> None:
    def counted(source: Any) -> int:
        return fixed.prepare(call(native(source), "InvokeModel")).input_tokens

    few = counted(content(text("few")))
    plain = counted({"type": "text", "media_type": "text/plain", "data": WORDS})
    assert plain == counted({"type": "content", "content": WORDS}) > few + 90
    assert plain == counted(content(text(WORDS)))
    assert counted(content(text("few"), IMAGE)) == few + 100
    assert counted(content(text("few"), text("few"))) > few


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (content(text(7)), r"document\.source\.content\.0\.text: Field required"),
        (content("a"), r"content\.0: Input should be a valid dictionary"),
        (content({"type": "document"}), r"content\.0: Input tag 'document' .* 'image', 'text'"),
        (content({"type": "image", "source": {"data": "%"}}), "invalid base64 data"),
        ({"type": "content"}, r"source\.content: Input should be a valid list"),
        ({"type": "text", "data": "a"}, "media_type: Input should be 'text/plain'"),
        ({"type": "text", "media_type": "text/html", "data": "a"}, "media_type: Input should be"),
        ({"type": "text", "media_type": "text/plain"}, "data: Input should be a valid string"),
        ({"type": "base64", "data": "%"}, "invalid base64 data"),
    ],
)
def test_an_anthropic_document_that_is_none_is_refused(fixed, call, source, words) -> None:
    with pytest.raises(EmulatedError, match=words):
        fixed.answer(call(native(source), "InvokeModel"))
