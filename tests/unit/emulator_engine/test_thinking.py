"""Converse passes `thinking` to the model, whose refusals it words as the model's."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_emulator.engine.types import EmulatedError

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
TOOL = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}


def body(thinking: Any, beta: Any = None, choice: Any = None, **inference: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": inference,
        "additionalModelRequestFields": {"thinking": thinking, "anthropic_beta": beta},
    }
    if choice is not None:
        asked["toolConfig"] = {"tools": [TOOL], "toolChoice": choice}
    return asked


def enabled(budget: Any) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize(
    "legal",
    [
        body(None),
        body({"type": "disabled"}, temperature=0.5, choice={"any": {}}),
        body({"type": "adaptive"}),
        body(enabled(1_024)),
        body(enabled(10_000)),  # below the model's maximum, where the call gives none
        body(enabled(1_024), maxTokens=1_025, temperature=1),
        body(enabled(5_000), maxTokens=2_000, beta=["interleaved-thinking-2025-05-14"]),
        body(enabled(1_024), choice={"auto": {}}),
    ],
)
def test_thinking_that_claude_takes_is_answered(fixed, call, legal) -> None:
    fixed.answer(call(legal, model=CLAUDE))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (body("enabled"), "thinking: Input should be a valid dictionary"),
        (body({}), "thinking: Input tag 'None'"),
        (body({"type": "deep"}), "thinking: Input tag 'deep' .* 'adaptive', 'disabled', 'enabled'"),
        (body({"type": "enabled"}), r"thinking\.enabled\.budget_tokens: .* valid integer"),
        (body(enabled("1024")), "valid integer"),
        (body(enabled(1_023)), "greater than or equal to 1024"),
        (body(enabled(2_000), maxTokens=2_000), "`max_tokens` must be greater than"),
        (body(enabled(64_000)), "`max_tokens` must be greater than"),
        (body(enabled(1_024), temperature=0.5), "`temperature` may only be set to 1"),
        (body({"type": "adaptive"}, temperature=0), "`temperature` may only be set to 1"),
        (body(enabled(1_024), choice={"any": {}}), "tool_choice forces tool use"),
        (body(enabled(1_024), choice={"tool": {"name": "t"}}), "tool_choice forces tool use"),
    ],
)
@pytest.mark.parametrize("operation", ["Converse", "ConverseStream"])
def test_thinking_that_claude_refuses_is_refused(fixed, call, operation, wrong, words) -> None:
    found = f"^The model returned the following errors: .*{words}"
    with pytest.raises(EmulatedError, match=found) as caught:
        fixed.answer(call(wrong, operation, CLAUDE))
    assert (caught.value.name, caught.value.status) == ("ValidationException", 400)


def test_another_model_takes_the_member_as_it_is(fixed, call) -> None:
    fixed.answer(call(body({"type": "deep"}), model="amazon.nova-lite-v1:0"))
