"""Documents in a conversation: named as Bedrock takes names, each name once."""

from __future__ import annotations

from typing import Any

import pytest

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
