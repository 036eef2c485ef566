"""What an answer must have for anybody to read it, and that what is new passes."""

from typing import Any

import pytest

from tenantry.domain.answer_shape import is_answer, is_event


def answer(*content: Any) -> dict[str, Any]:
    return {"output": {"message": {"role": "assistant", "content": list(content)}}}


USE = {"toolUseId": "t-1", "name": "find", "input": {"a": 1}}


@pytest.mark.parametrize(
    "document",
    [
        answer(),
        answer({"text": "a"}, {"toolUse": USE}),
        answer({"reasoningContent": {"redactedContent": "…"}}, {"a kind of tomorrow": 5}),
    ],
)
def test_answers(document: Any) -> None:
    assert is_answer(document)


@pytest.mark.parametrize(
    "document",
    [
        None, [], {}, {"output": {}}, {"output": {"message": {}}}, {"output": {"message": None}},
        {"output": {"message": {"content": None}}}, answer("text"), answer({"text": 5}),
        answer({"toolUse": "x"}), answer({"toolUse": {"name": "find"}}),
    ],
)  # fmt: skip
def test_what_is_no_answer(document: Any) -> None:
    assert not is_answer(document)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockStart", {"start": {}, "contentBlockIndex": 0}),
        ("contentBlockStart", {"start": {"toolUse": USE}}),
        ("contentBlockDelta", {"delta": {"text": "a"}}),
        ("contentBlockDelta", {"delta": {"toolUse": {"input": '{"a'}}}),
        ("contentBlockDelta", {"delta": {"reasoningContent": {"signature": "s"}}}),
        ("contentBlockDelta", {"delta": {"citation": {"title": "t"}}}),
        ("contentBlockStop", {}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {}}),
        ("ping", None),
        ("an event of tomorrow", []),
        (None, {}),
    ],
)
def test_events(kind: str | None, payload: Any) -> None:
    assert is_event(kind, payload)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("contentBlockStart", {"start": {"toolUse": {"name": "find"}}}),
        ("contentBlockDelta", None),
        ("contentBlockDelta", {}),
        ("contentBlockDelta", {"delta": "a"}),
        ("contentBlockDelta", {"delta": {"text": 5}}),
        ("contentBlockDelta", {"delta": {"toolUse": "x"}}),
        ("contentBlockDelta", {"delta": {"toolUse": {"input": {}}}}),
        ("contentBlockDelta", {"delta": {"reasoningContent": {"text": 5}}}),
        ("contentBlockStart", {"start": {}, "contentBlockIndex": []}),
        ("contentBlockDelta", {"delta": {"text": "a"}, "contentBlockIndex": "1"}),
        ("contentBlockStop", {"contentBlockIndex": None}),
        ("contentBlockStop", []),
        ("messageStop", {}),
        ("metadata", None),
    ],
)
def test_what_is_no_event(kind: str | None, payload: Any) -> None:
    assert not is_event(kind, payload)
