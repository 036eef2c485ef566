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


def saying(**members: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "Hello.", **members}]}


@pytest.mark.parametrize(
    ("body", "model", "words"),
    [
        ({**CHAT, "temperature": "hot"}, GPT, "#/temperature: expected type: number"),
        ({**CHAT, "top_p": True}, GPT, "#/top_p: expected type: number"),
        ({"prompt": "a", "temperature": []}, "meta.llama3-3-70b-instruct-v1:0", "#/temperature"),
        ({"prompt": "a", "top_k": "5"}, "mistral.mistral-7b-instruct-v0:2", "#/top_k: expected"),
        (saying(content=["a"]), GPT, "#/messages/0/content/0: expected type: object"),
        (saying(content=[{"type": "text", "text": 1}]), GPT, "0/content/0: expected type: string"),
        (saying(tool_calls=["a"]), GPT, "#/messages/0/tool_calls/0: expected type: object"),
        (saying(tool_calls=[{}]), GPT, "#/messages/0/tool_calls/0: expected type: object"),
        (saying(tool_calls=[{"function": {}}]), GPT, "tool_calls/0/function/name: expected"),
        (
            saying(tool_calls=[{"function": {"name": "t", "arguments": {}}}]),
            GPT,
            "function/arguments: expected type: string",
        ),
        (
            {**CHAT, "tools": [{"function": {"name": "t", "description": 1}}]},
            GPT,
            "tools/0/function/description: expected type: string",
        ),
    ],
)
def test_members_of_a_wrong_type_are_refused(fixed, call, body, model, words) -> None:
    with pytest.raises(EmulatedError) as caught:
        fixed.answer(call(body, "InvokeModel", model))
    assert words in caught.value.message
    assert caught.value.status == 400


@pytest.mark.parametrize("count", [1, None])
def test_one_answer_may_be_asked_for(fixed, call, count) -> None:
    answer = fixed.answer(call({**CHAT, "n": count}, "InvokeModel", GPT)).body
    assert len(answer["choices"]) == 1
