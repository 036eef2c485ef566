"""Conversations in which a built-in tool of Nova's has run, as a recorded one shows them."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_emulator.engine.types import EmulatedError

MODEL = "us.amazon.nova-2-lite-v1:0"
INTERPRETER = {"systemTool": {"name": "nova_code_interpreter"}}
SPEC = {"toolSpec": {"name": "final_result", "inputSchema": {"json": {"type": "object"}}}}


def used(identity: str, name: str) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": identity, "name": name, "input": {"snippet": "1 + 1"}}}


def result(identity: str) -> dict[str, Any]:
    content = [{"json": {"stdOut": "2", "exitCode": 0}}]
    return {"toolResult": {"toolUseId": identity, "content": content, "status": "success"}}


def continued(tools: list[Any], assistant: list[Any], user: list[Any]) -> dict[str, Any]:
    turns = [("user", [{"text": "1 + 1?"}]), ("assistant", assistant), ("user", user)]
    messages = [{"role": role, "content": blocks} for role, blocks in turns]
    return {"messages": messages, "toolConfig": {"tools": tools}}


RAN = [used("a", "nova_code_interpreter"), result("a")]
TEXT = {"text": "And by 2?"}


@pytest.mark.parametrize(
    "body",
    [
        continued([SPEC, INTERPRETER], [*RAN, used("b", "final_result")], [result("b"), TEXT]),
        continued([INTERPRETER], [*RAN, {"text": "2"}], [TEXT]),
    ],
)
@pytest.mark.parametrize("operation", ["Converse", "InvokeModel"])
def test_a_use_that_its_own_turn_answers_is_settled(fixed, call, operation, body) -> None:
    fixed.answer(call(body, operation, MODEL))


@pytest.mark.parametrize(
    ("assistant", "user", "words"),
    [
        ([*RAN, used("b", "t")], [TEXT], r"Expected toolResult blocks .* Ids: b$"),
        ([*RAN], [result("a"), TEXT], "exceeds the number of toolUse blocks"),
        ([result("a"), used("a", "t")], [result("a")], r"answers no toolUse block before it: a$"),
    ],
)
def test_what_is_not_settled_is_refused(fixed, call, assistant, user, words) -> None:
    with pytest.raises(EmulatedError, match=words):
        fixed.answer(call(continued([INTERPRETER], assistant, user), model=MODEL))


def test_a_tool_use_without_any_tool_is_refused(fixed, call) -> None:
    body = continued([INTERPRETER], [*RAN, {"text": "2"}], [TEXT])
    del body["toolConfig"]
    with pytest.raises(EmulatedError, match="toolConfig field must be defined"):
        fixed.answer(call(body, model=MODEL))
