"""What a guardrail looks at in a call, and what the model gets of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.images import png

from bedrock_emulator.engine import EmulatedError, Engine
from bedrock_emulator.engine.guarded_parts import masked_body
from bedrock_emulator.guardrail_settings import guardrail_from

GUARDRAIL = guardrail_from(
    {
        "id": "gr1",
        "version": "1",
        "content": {"VIOLENCE": ["bomb"]},
        "pii": {"EMAIL": {"pattern": r"[a-z]+@[a-z.]+", "action": "ANONYMIZE"}},
        "input": ["content", "pii"],
        "output": ["pii"],
    }
)
HEADERS = {
    "x-amzn-bedrock-guardrailidentifier": "gr1",
    "x-amzn-bedrock-guardrailversion": "1",
}
MAIL = "anna@example.com"


@pytest.fixture
def guarded() -> Engine:
    return Engine(mode="fixed", guardrails=lambda *_: GUARDRAIL)


def test_of_the_system_prompt_what_is_marked_is_masked(guarded, call) -> None:
    marked = {"guardContent": {"text": {"text": MAIL}}}
    body = {
        "system": [{"text": MAIL}, marked],
        "messages": [{"role": "user", "content": [{"text": MAIL}]}],
        "guardrailConfig": {"guardrailIdentifier": "gr1", "guardrailVersion": "1"},
    }
    masked = masked_body(body, GUARDRAIL)
    assert masked["system"] == [{"text": MAIL}, {"guardContent": {"text": {"text": "{EMAIL}"}}}]
    assert masked["messages"][0]["content"] == [{"text": "{EMAIL}"}]
    assert guarded.prepare(call(body)).plan.prompt.system == f"{MAIL}\n\n{{EMAIL}}"


SYSTEM_MARK = {"guardContent": {"text": {"text": MAIL}}}
SCHEMA = {"type": "object"}
# Each family's way to say the same: what the user writes, and what a tool of theirs returned.
CONVERSES = {
    "messages": [
        {"role": "user", "content": [{"text": MAIL}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "1", "content": [{"text": f"{MAIL} bomb"}]}},
            ],
        },
    ],
    "toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": SCHEMA}}}]},
}
CLAUDES = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 5,
    "system": f"{MAIL} bomb",
    "messages": [
        {"role": "user", "content": MAIL},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "1", "name": "t", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": f"{MAIL} bomb"},
            ],
        },
    ],
}
CLAUDES_IN_BLOCKS = {
    **CLAUDES,
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": MAIL}]},
        CLAUDES["messages"][1],
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "1",
                    "content": [{"type": "text", "text": f"{MAIL} bomb"}],
                },
            ],
        },
    ],
}
CHATS = {
    "messages": [
        {"role": "system", "content": f"{MAIL} bomb"},
        {"role": "user", "content": MAIL},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "t"}}]},
        {"role": "tool", "tool_call_id": "1", "content": f"{MAIL} bomb"},
    ],
}
QWEN = "qwen.qwen3-32b-v1:0"
CONFIG = {"guardrailConfig": {"guardrailIdentifier": "gr1", "guardrailVersion": "1"}}
UNSAID = {"guardrailConfig": {**CONFIG["guardrailConfig"], "trace": None}}


@pytest.mark.parametrize(
    ("operation", "model", "body"),
    [
        ("Converse", "amazon.nova-lite-v1:0", {**CONVERSES, **CONFIG}),
        ("Converse", "amazon.nova-lite-v1:0", {**CONVERSES, **UNSAID}),
        ("InvokeModel", "amazon.nova-lite-v1:0", CONVERSES),
        ("InvokeModel", "anthropic.claude-opus-5-5", CLAUDES),
        ("InvokeModel", "anthropic.claude-opus-5-5", CLAUDES_IN_BLOCKS),
        ("InvokeModel", QWEN, CHATS),
    ],
)
def test_one_rule_says_what_is_judged_and_masked(guarded, call, operation, model, body) -> None:
    """What a user writes is; system prompts and what a tool returned are not."""
    headers = {} if operation == "Converse" else HEADERS
    guarding = guarded.prepare(call(body, operation, model, headers=headers)).plan.guarding
    assert guarding.looked.texts == [MAIL]
    assert (guarding.prompt.blocked, guarding.prompt.masked) == (False, True)
    assert repr(masked_body(body, GUARDRAIL)) == repr(body).replace(f"'{MAIL}'", "'{EMAIL}'")


def test_where_some_is_marked_the_rest_is_neither_judged_nor_masked(guarded, call) -> None:
    source = {"guardContent": {"text": {"text": MAIL, "qualifiers": ["grounding_source"]}}}
    blocks = [{"text": f"{MAIL} bomb"}, SYSTEM_MARK, source, OF_NOVA]
    body = {"messages": [{"role": "user", "content": blocks}]}
    for operation, more in (("Converse", CONFIG), ("InvokeModel", {})):
        headers = {} if operation == "Converse" else HEADERS
        asked = call({**body, **more}, operation, "amazon.nova-lite-v1:0", headers=headers)
        looked = guarded.prepare(asked).plan.guarding.looked
        assert (looked.texts, looked.sources, looked.images) == ([MAIL], [MAIL], 0)
    masked = masked_body(body, GUARDRAIL)["messages"][0]["content"]
    assert masked == [blocks[0], {"guardContent": {"text": {"text": "{EMAIL}"}}}, *blocks[2:]]


def test_a_prompt_without_messages_is_judged_and_masked(guarded, call) -> None:
    body = {"prompt": f"Write to {MAIL}", "images": ["AAAA"]}
    asked = call(body, "InvokeModel", "meta.llama3-2-11b-instruct-v1:0", headers=HEADERS)
    looked = guarded.prepare(asked).plan.guarding.looked
    assert (looked.texts, looked.images) == ([body["prompt"]], 1)
    assert masked_body(body, GUARDRAIL) == {**body, "prompt": "Write to {EMAIL}"}


def chat(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, part]}]}


PNG = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": png()},
}
USED = {"type": "tool_use", "id": "1", "name": "t", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "1", "content": [PNG]}
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5}
OF_NOVA = {"image": {"format": "png", "source": {"bytes": png()}}}


@pytest.mark.parametrize(
    ("model", "body", "images"),
    [
        ("anthropic.claude-opus-5-5", {**CLAUDE, **chat(PNG)}, 1),
        (
            "anthropic.claude-opus-5-5",
            {
                **CLAUDE,
                "messages": [
                    *chat(PNG)["messages"],
                    {"role": "assistant", "content": [USED]},
                    {"role": "user", "content": [RESULT]},
                ],
            },
            1,  # what a tool returned is not looked at
        ),
        (
            "amazon.nova-lite-v1:0",
            {"messages": [{"role": "user", "content": [{"text": "a"}, OF_NOVA, OF_NOVA]}]},
            2,
        ),
        ("qwen.qwen3-vl-235b-a22b", chat({"type": "image_url", "image_url": {"url": "data:"}}), 1),
        ("meta.llama3-2-11b-instruct-v1:0", {"prompt": "a", "images": ["AAAA"]}, 1),
        ("amazon.nova-lite-v1:0", {"messages": [{"role": "user", "content": [{"text": "a"}]}]}, 0),
    ],
)
def test_images_of_a_native_body_are_units(guarded, call, model, body, images) -> None:
    answer = guarded.answer(call(body, "InvokeModel", model, headers=HEADERS))
    assert answer.guardrail["contentPolicyImageUnits"] == images


@pytest.mark.parametrize("headers", [{}, HEADERS])
def test_the_header_of_the_trace_is_one_of_three(guarded, call, headers) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "a"}]}]}
    for trace, traced in (("ENABLED", True), ("ENABLED_FULL", True), ("DISABLED", False)):
        said = {**headers, "x-amzn-bedrock-trace": trace}
        asked = call(body, "InvokeModel", "amazon.nova-lite-v1:0", headers=said)
        assert ("amazon-bedrock-trace" in guarded.answer(asked).body) == (traced and headers != {})
    said = {**headers, "x-amzn-bedrock-trace": "yes"}
    with pytest.raises(EmulatedError, match=r"'yes' at 'trace' .* enum value set: \[ENABLED"):
        guarded.answer(call(body, "InvokeModel", "amazon.nova-lite-v1:0", headers=said))
