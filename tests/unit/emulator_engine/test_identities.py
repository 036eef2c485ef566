"""Ids of answers and tool calls are one invocation's own; what is said is the request's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bedrock_emulator.engine import Call, Engine

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"
COHERE = "cohere.embed-english-v3"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CONVERSE = {
    "messages": [{"role": "user", "content": [{"text": "Paris?"}]}],
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": SCHEMA}}}],
        "toolChoice": {"any": {}},
    },
}
MESSAGES = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 99,
    "messages": [{"role": "user", "content": "Paris?"}],
    "tools": [{"name": "t", "input_schema": SCHEMA}],
    "tool_choice": {"type": "any"},
}
CHAT = {
    "messages": [{"role": "user", "content": "Paris?"}],
    "tools": [{"type": "function", "function": {"name": "t", "parameters": SCHEMA}}],
    "tool_choice": "required",
}
CALLS = [
    ("Converse", CLAUDE, CONVERSE),
    ("ConverseStream", CLAUDE, CONVERSE),
    ("InvokeModel", CLAUDE, MESSAGES),
    ("InvokeModelWithResponseStream", CLAUDE, MESSAGES),
    ("InvokeModel", QWEN, CHAT),
    ("InvokeModelWithResponseStream", QWEN, CHAT),
    ("InvokeModel", COHERE, {"texts": ["a"], "input_type": "search_query"}),
]


def said(engine: Engine, call: Call, request_id: str) -> tuple[set[str], str, str | None]:
    """Ids in an answer, all else in it, and where it ran."""
    answer = engine.answer(replace(call, request_id=request_id))
    ids: set[str] = set()

    def without_ids(node: Any) -> Any:
        if isinstance(node, list):
            return [without_ids(one) for one in node]
        if not isinstance(node, dict):
            return node
        ids.update(node[name] for name in ("id", "toolUseId") if name in node)
        return {k: without_ids(v) for k, v in node.items() if k not in ("id", "toolUseId")}

    shown = answer.body if answer.body is not None else [e.payload for e in answer.events]
    return ids, json.dumps(without_ids(shown)), answer.inference_region


@pytest.mark.parametrize(("operation", "model", "body"), CALLS)
def test_equal_requests_have_ids_of_their_own(fixed, call, operation, model, body) -> None:
    asked = call(body, operation, model)
    one, other, again = (said(fixed, asked, name) for name in ("r1", "r2", "r1"))
    assert one[0] and not one[0] & other[0]
    assert one[1:] == other[1:]
    assert one == again
