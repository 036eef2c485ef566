"""Where OpenAI's model may call no tool, what tools did before is told in words."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.openai.schema import ChatRequest
from tenantry.entrypoints.http.openai.to_converse import to_converse

TOOL = {"type": "function", "function": {"name": "weather"}}
LONG = 98765432109876543210  # beyond 64 bits


def used(identity: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": identity, "function": {"name": name, "arguments": arguments}}


ASKED = {"role": "user", "content": "The weather in Oslo and Bern?"}
CALLED = {
    "role": "assistant",
    "content": "I look.",
    "tool_calls": [
        used("t1", "weather", f'{{"city": "Oslo", "at": {LONG}}}'),
        used("t2", "weather", ""),
    ],
}
SAID = {"role": "tool", "tool_call_id": "t1", "content": "Sun."}
SAID_IN_PARTS = {
    "role": "tool",
    "tool_call_id": "t2",
    "content": [{"type": "text", "text": "Rain."}, {"type": "text", "text": "Cold."}],
}


def converse(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    return to_converse(to(ChatRequest, {"model": "m", "messages": list(messages), **members}))


@pytest.mark.parametrize(
    "members",
    [{}, {"tools": []}, {"tools": None}, {"tool_choice": "auto"}, {"tool_choice": "none"},
     {"tools": [TOOL], "tool_choice": "none"}],
)  # fmt: skip
def test_no_tool_is_offered_and_what_was_called_stays(members: dict[str, Any]) -> None:
    body = converse(ASKED, CALLED, SAID, SAID_IN_PARTS, **members)
    assert "toolConfig" not in body
    assert body["messages"] == [
        {"role": "user", "content": [{"text": ASKED["content"]}]},
        {
            "role": "assistant",
            "content": [
                {"text": "I look."},
                {"text": f'Called the tool weather (t1) with {{"city":"Oslo","at":{LONG}}}'},
                {"text": "Called the tool weather (t2) with {}"},
            ],
        },
        {
            "role": "user",
            "content": [
                {"text": "The tool weather (t1) returned:\nSun."},
                {"text": "The tool weather (t2) returned:\nRain.\nCold."},
            ],
        },
    ]


def test_a_result_alone_is_told_too() -> None:
    (turn,) = converse(ASKED, SAID)["messages"]
    assert turn["content"][1:] == [{"text": "A tool (t1) returned:\nSun."}]


def test_with_tools_they_stay_what_they_were() -> None:
    body = converse(ASKED, CALLED, SAID, SAID_IN_PARTS, tools=[TOOL])
    kinds = [[kind for b in turn["content"] for kind in b] for turn in body["messages"]]
    assert kinds == [["text"], ["text", "toolUse", "toolUse"], ["toolResult", "toolResult"]]
    assert body["messages"][2]["content"][1]["toolResult"]["content"] == [
        {"text": "Rain."},
        {"text": "Cold."},
    ]


@pytest.mark.parametrize("choice", ["required", TOOL])
def test_a_call_cannot_be_asked_for_without_tools(choice: Any) -> None:
    with pytest.raises(BadRequest, match="`tool_choice` needs `tools`"):
        converse(ASKED, tool_choice=choice)
