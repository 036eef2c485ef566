"""Whatever type a member of a body has: the request is understood and bounded, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.core import ACCOUNT, CLAUDE, GPT, NOVA, plan
from tests.support.mutants import each_with_another_member, with_another_member

from tenantry.application.guarding import guard
from tenantry.domain.chat_request import Clamp, prepare_converse, prepare_native
from tenantry.domain.errors import TenantryError
from tenantry.domain.guardrail import looked_at
from tenantry.entrypoints.http.bedrock.requests import to_converse_call, to_count_tokens
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.openai.schema import ChatRequest
from tenantry.entrypoints.http.openai.schema import given as given_members
from tenantry.entrypoints.http.openai.to_converse import to_converse

BARE = plan(max_tokens_ceiling=1_000, max_tokens_default=300)
KIND = replace(BARE, preamble="Be kind.")
SEEING = {"image_tokens_max": 1_000, "page_tokens_max": 100}
TEXT_DOCUMENT = {"format": "txt", "name": "d", "source": {"bytes": "AAAA"}}
CHUNKS = {"name": "e", "context": "c", "source": {"content": [{"text": "x"}]}}
POINT = {"cachePoint": {"type": "default", "ttl": "5m"}}
USE = {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}
RESULT = {"toolResult": {"toolUseId": "1", "content": [{"json": {}}, {"text": "r"}]}}
CONVERSE: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": [{"text": "a"}, POINT]},
        {"role": "assistant", "content": [USE]},
        {
            "role": "user",
            "content": [
                RESULT,
                {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
                {"document": TEXT_DOCUMENT},
                {"document": CHUNKS},
                {"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}},
            ],
        },
    ],
    "system": [{"text": "s"}, POINT],
    "inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "stopSequences": ["x"]},
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}, POINT],
        "toolChoice": {"auto": {}},
    },
    "guardrailConfig": {"guardrailIdentifier": "gr1", "guardrailVersion": "1", "trace": "enabled"},
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "flex"},
    "requestMetadata": {"k": "v"},
    "additionalModelRequestFields": {
        "thinking": {"type": "enabled", "budget_tokens": 5},
        "tools": [{"type": "bash_20250124", "name": "b"}],
    },
}
COUNTED = {name: CONVERSE[name] for name in ("messages", "system", "toolConfig")}
NOVA_BODY = {**COUNTED, "inferenceConfig": CONVERSE["inferenceConfig"]}
EPHEMERAL = {"cache_control": {"type": "ephemeral", "ttl": "5m"}}
ANTHROPIC: dict[str, Any] = {
    "max_tokens": 5,
    "system": [{"type": "text", "text": "s", **EPHEMERAL}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
                {"type": "document", "title": "t", "source": {"type": "text", "data": "a"}},
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": "x"}]},
                },
                {"type": "tool_result", "content": [{"type": "text", "text": "b"}]},
            ],
        }
    ],
    "tools": [{"name": "t", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "tool", "name": "t"},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    **EPHEMERAL,
}
URL = {"url": "data:image/png;base64,AAAA"}
PICTURE = {"type": "image_url", "image_url": URL}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, PICTURE]},
        {"role": "user", "content": "b"},
    ],
    "max_completion_tokens": 5,
    "tools": [{"type": "function", "function": {"name": "t"}}],
}
PROMPT: dict[str, Any] = {"prompt": "a", "max_gen_len": 5, "images": ["a"]}
FILE = {"filename": "a.txt", "file_data": "data:text/plain;base64,AAAA"}
CALL = {"id": "1", "type": "function", "function": {"name": "t", "arguments": "{}"}}
OPENAI: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                PICTURE,
                {"type": "file", "file": FILE},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "x"},
    ],
    "tools": [{"type": "function", "function": {"name": "t", "parameters": {}}}],
    "tool_choice": {"type": "function", "function": {"name": "t"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "A", "schema": {}}},
    "stop": ["x"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 5,
}


def read_converse(body: Any) -> None:
    call = to_converse_call("m", body, "ConverseStream")
    for each in (KIND, BARE):
        chat = guard(each, call, CLAUDE, ACCOUNT).chat
        prepare_converse(chat.body, CLAUDE, each, "salt", Clamp(allowed=True))
    looked_at(call.body)


def read_counted(body: Any) -> None:
    to_count_tokens("m", {"input": {"converse": body}})


def read_openai(body: Any) -> None:
    converse = to_converse(to(ChatRequest, given_members(body)))
    prepare_converse(converse, CLAUDE, KIND, "salt", Clamp(allowed=True))


def read_native(model: Any, its_plan: Any) -> Callable[[Any], None]:
    def read(body: Any) -> None:
        prepare_native(body, replace(model, **SEEING), its_plan, "salt", Clamp(allowed=True))
        looked_at(body)

    return read


READERS = [
    (read_converse, CONVERSE),
    (read_counted, COUNTED),
    (read_openai, OPENAI),
    (read_native(CLAUDE, KIND), ANTHROPIC),
    (read_native(CLAUDE, BARE), ANTHROPIC),
    (read_native(NOVA, KIND), NOVA_BODY),
    (read_native(GPT, KIND), CHAT),
    (read_native(replace(GPT, family="llama"), BARE), PROMPT),
]


def test_the_untouched_bodies_are_understood() -> None:
    for read, body in READERS:
        read(body)


@pytest.mark.parametrize(("read", "body"), READERS)
def test_a_member_of_each_type(read: Callable[[Any], None], body: dict[str, Any]) -> None:
    for other in each_with_another_member(body):
        understood_or_refused(read, other)


@settings(deadline=None)
@given(st.data())
def test_a_member_of_any_type(data: st.DataObject) -> None:
    read, body = data.draw(st.sampled_from(READERS))
    understood_or_refused(read, data.draw(with_another_member(body)))


def understood_or_refused(read: Callable[[Any], None], body: Any) -> None:
    try:
        read(body)
    except TenantryError:
        return
