"""What OpenAI's messages say is told to the model, digit for digit, or refused by its own name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tenantry.domain.errors import BadRequest, UpstreamRubbish
from tenantry.domain.usage import Usage
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.openai.from_converse import from_converse
from tenantry.entrypoints.http.openai.schema import ChatRequest
from tenantry.entrypoints.http.openai.to_converse import to_converse

ASKED = {"role": "user", "content": "hi"}
TOOLS = [{"type": "function", "function": {"name": "look"}}]
LONG = 98765432109876543210  # beyond 64 bits


def converse(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [ASKED, *messages], **members}
    return to_converse(to(ChatRequest, body))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("audio", {"id": "audio_1"}),
        ("function_call", {"name": "look", "arguments": "{}"}),
        ("function_call", "auto"),
    ],
)
def test_what_would_be_lost_is_refused_by_name(member: str, value: Any) -> None:
    said = {"role": "assistant", "content": "x"}
    with pytest.raises(BadRequest, match=rf"`messages\[1\]\.{member}`"):
        converse({**said, member: value})
    assert converse({**said, member: None}) == converse(said)


def test_a_refusal_is_what_was_said() -> None:
    refused = {"role": "assistant", "content": None, "refusal": "I will not."}
    turn = converse(refused, ASKED)["messages"][1]
    assert turn == {"role": "assistant", "content": [{"text": "I will not."}]}
    with pytest.raises(BadRequest, match=r"`messages\[1\]\.refusal`"):
        converse({**ASKED, "refusal": "no"})


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": -1}, "max_completion_tokens"),
    ],
)
def test_a_limit_is_refused_by_the_name_it_was_given(limits: dict[str, int], named: str) -> None:
    with pytest.raises(BadRequest, match=f"^`{named}` must be at least 1"):
        converse(**limits)


def test_arguments_keep_every_digit() -> None:
    def used(arguments: str) -> dict[str, Any]:
        function = {"name": "look", "arguments": arguments}
        call = {"id": "t", "type": "function", "function": function}
        return {"role": "assistant", "tool_calls": [call]}

    for kept in (
        {"id": 2**64 - 1, "far": 1e300, "text": str(LONG)},
        {"id": LONG, "far": [-LONG, {"one": 10**30, "é": None}], "text": "Zürich"},
        {"id": int("9" * 308), "round": 10**20},
    ):
        block = converse(used(json.dumps(kept)), tools=TOOLS)["messages"][1]["content"][0]
        assert block["toolUse"]["input"] == kept
        assert json.dumps(block["toolUse"]["input"]) == json.dumps(kept), (
            "no number became a double"
        )


@pytest.mark.parametrize(
    "arguments",
    [
        f'{{"id": {"9" * 310}}}',
        f'{{"id": {"9" * 5_000}}}',
        f'{{"id": [{LONG}, NaN]}}',
        f'{{"id": [{LONG}, -Infinity]}}',
        f'{{"id": {LONG}, "text": "\\ud800"}}',
        f"[{LONG}]",
    ],
)
def test_arguments_that_nobody_reads_are_refused(arguments: str) -> None:
    call = {"id": "t", "function": {"name": "look", "arguments": arguments}}
    with pytest.raises(BadRequest, match="must be a JSON object in a string"):
        converse({"role": "assistant", "tool_calls": [call]})


def answer(arguments: str) -> bytes:
    use = f'{{"toolUse": {{"toolUseId": "t", "name": "look", "input": {arguments}}}}}'
    return f'{{"output": {{"message": {{"content": [{use}]}}}}, "stopReason": "tool_use"}}'.encode()


def arguments_of(body: bytes) -> str:
    done = from_converse(body, Usage(), completion_id="c", created=0, model="m")
    said: str = done["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    return said


def nested(levels: int) -> str:
    return f'{{"a":{"[" * levels}{LONG}{"]" * levels}}}'


@pytest.mark.parametrize(
    "arguments",
    [
        f'{{"id":{LONG},"é":[-{LONG},0.1,null,"{LONG}"]}}',
        f'{{"id":{"9" * 300}}}',
        f'{{"id":{2**63},"text":"Bern"}}',
        '{"city":"Zürich","at":1.0}',
        nested(300),
    ],
)
def test_arguments_of_an_answer_keep_every_digit(arguments: str) -> None:
    assert arguments_of(answer(arguments)) == arguments


def test_an_answer_that_nests_deeper_than_can_be_read_is_told_as_such() -> None:
    with pytest.raises(UpstreamRubbish):
        arguments_of(answer(nested(1_000)))
