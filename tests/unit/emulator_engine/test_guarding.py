"""What a guardrail looks at in a call, and what the model gets of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.images import png

from bedrock_emulator.engine import EmulatedError, Engine
from bedrock_emulator.engine.guarding import masked_body
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
            2,
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
