"""OpenAI-shaped bodies: reasoning stands before the answer, and there is one answer."""

from __future__ import annotations

import pytest

from bedrock_emulator.engine.types import EmulatedError

GPT = "openai.gpt-oss-120b-1:0"
CHAT = {"messages": [{"role": "user", "content": "Hello."}]}


def streamed(engine, asked) -> str:
    return "".join(
        event.payload["choices"][0]["delta"].get("content") or ""
        for event in engine.answer(asked).events
    )


@pytest.mark.parametrize("most", [None, 3])
def test_reasoning_that_is_billed_is_shown(models, call, most) -> None:
    body = CHAT if most is None else {**CHAT, "max_tokens": most}
    answer = models.answer(call(body, "InvokeModel", GPT)).body
    said = answer["choices"][0]["message"]["content"]
    assert said.startswith("<reasoning>")
    assert said.count("</reasoning>") == 1
    thought, _, text = said.removeprefix("<reasoning>").partition("</reasoning>")
    assert thought
    assert bool(text) is (most is None)
    assert streamed(models, call(body, "InvokeModelWithResponseStream", GPT)) == said


def test_a_model_that_does_not_reason_shows_none(models, call) -> None:
    answer = models.answer(call(CHAT, "InvokeModel", "qwen.qwen3-32b-v1:0")).body
    assert "<reasoning>" not in answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("count", [2, 0, True, "1", 1.5])
def test_more_answers_than_one_are_refused(fixed, call, count) -> None:
    with pytest.raises(EmulatedError, match=r"(?:#/|'|^)n\b") as caught:
        fixed.answer(call({**CHAT, "n": count}, "InvokeModel", GPT))
    assert caught.value.status == 400


@pytest.mark.parametrize("count", [1, None])
def test_one_answer_may_be_asked_for(fixed, call, count) -> None:
    answer = fixed.answer(call({**CHAT, "n": count}, "InvokeModel", GPT)).body
    assert len(answer["choices"]) == 1
