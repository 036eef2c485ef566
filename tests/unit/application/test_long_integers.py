"""An integer beyond 64 bits that a model made up goes upstream as its client echoes it."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest
from tests.support.core import CLAUDE, NOVA, principal
from tests.support.scripted import context, converse_reply, core, reply
from tests.support.skipping import run

from tenantry.application.guarding import without_trace
from tenantry.entrypoints.http.bedrock.requests import (
    to_converse_call,
    to_count_tokens,
    to_invoke_call,
)
from tenantry.entrypoints.http.json_body import LONG_IN, parse_object
from tenantry.ports.model import Reply

ACME = principal("acme")
LONG = 987654321098765432109876543210
WIDE = {"id": LONG, "least": [-LONG, 2**64, 2**63, 10**20], "far": 1e300, "é": "ü"}
USE = {"toolUse": {"toolUseId": "t", "name": "look", "input": WIDE}}
RESULT = {"toolResult": {"toolUseId": "t", "content": [{"json": WIDE}]}}
MESSAGES = [
    {"role": "user", "content": [{"text": "hi"}]},
    {"role": "assistant", "content": [USE]},
    {"role": "user", "content": [RESULT]},
]
SPEC = {"name": "look", "inputSchema": {"json": {"type": "object", "maximum": LONG}}}
CONVERSE: dict[str, Any] = {"messages": MESSAGES, "toolConfig": {"tools": [{"toolSpec": SPEC}]}}
NATIVE: dict[str, Any] = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 64,
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "look", "input": WIDE}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": str(LONG)}],
        },
    ],
    "tools": [{"name": "look", "input_schema": {"type": "object", "maximum": LONG}}],
}


def same(sent: bytes, told: dict[str, Any], *members: str) -> None:
    """Digit for digit, and no number is a double that was none."""
    read = json.loads(sent)
    assert {name: repr(read[name]) for name in members} == {
        name: repr(told[name]) for name in members
    }


def test_of_converse() -> None:
    worker = core(converse_reply())
    body = parse_object(json.dumps(CONVERSE).encode(), long_in=LONG_IN)
    chat = to_converse_call(CLAUDE.id, body, "Converse")
    run(worker.inference.complete(context(ACME), chat))
    (sent,) = worker.model.attempts
    same(sent.body, CONVERSE, "messages", "toolConfig")


def test_of_a_native_body() -> None:
    worker = core(reply({"usage": {"input_tokens": 5, "output_tokens": 1}}))
    chat = to_invoke_call(CLAUDE.id, json.dumps(NATIVE).encode(), {}, "InvokeModel")
    run(worker.inference.complete(context(ACME), chat))
    (sent,) = worker.model.attempts
    same(sent.body, NATIVE, "messages", "tools")


@pytest.mark.parametrize("native", [False, True])
def test_of_what_is_counted(native: bool) -> None:
    encoded = base64.b64encode(json.dumps(NATIVE).encode()).decode()
    asked = {"input": {"invokeModel": {"body": encoded}} if native else {"converse": CONVERSE}}
    worker = core(reply({"inputTokens": 5}))
    body = parse_object(json.dumps(asked).encode(), long_in=frozenset({"input"}))
    counted = to_count_tokens(CLAUDE.id, body)
    run(worker.inference.count_tokens(context(ACME), CLAUDE.id, counted))
    (sent,) = worker.model.attempts
    if native:  # written anew, of what was checked
        written = base64.b64decode(json.loads(sent.body)["input"]["invokeModel"]["body"])
        same(written, NATIVE, *NATIVE)
    else:
        same(sent.body, asked, "input")


def test_an_ordinary_body_is_written_as_ever() -> None:
    worker = core(converse_reply())
    body = {"messages": [{"role": "user", "content": [{"text": "h\u00ef"}]}]}
    run(worker.inference.complete(context(ACME), to_converse_call(NOVA.id, body, "Converse")))
    (sent,) = worker.model.attempts
    assert sent.body == orjson.dumps(orjson.loads(sent.body))


@pytest.mark.parametrize("operation", ["Converse", "InvokeModel"])
def test_an_answer_without_its_trace_keeps_every_digit(operation: str) -> None:
    trace = {"trace": {"guardrail": {}}, "amazon-bedrock-trace": {}}
    body = json.dumps({"output": USE, **trace}).encode()
    shown = without_trace(Reply(200, {}, body, orjson.loads(body)), operation)
    assert b"race" in shown.body
    same(shown.body, {"output": USE}, "output")
