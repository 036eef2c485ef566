"""Native bodies say the same whole and as a stream."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_emulator.engine import Engine

CHAT = {"messages": [{"role": "user", "content": "Hello."}]}
PROMPT = {"prompt": "Hello."}


def whole_and_streamed(engine: Engine, call: Any, body: Any, model: str) -> tuple[Any, list[Any]]:
    whole = engine.answer(call(body, "InvokeModel", model)).body
    events = engine.answer(call(body, "InvokeModelWithResponseStream", model)).events
    return whole, [event.payload for event in events]


@pytest.mark.parametrize(
    "model", ["openai.gpt-oss-20b-1:0", "deepseek.r1-v1:0", "qwen.qwen3-32b-v1:0"]
)
@pytest.mark.parametrize("engine", ["fixed", "models"])
def test_a_chat_s_stream_says_what_its_whole_answer_says(request, call, engine, model) -> None:
    engine = request.getfixturevalue(engine)
    whole, parts = whole_and_streamed(engine, call, CHAT, model)
    streamed = "".join(part["choices"][0]["delta"].get("content") or "" for part in parts)
    assert streamed == whole["choices"][0]["message"]["content"]


@pytest.mark.parametrize("engine", ["fixed", "models"])
def test_deepseek_r1_completes_a_prompt(request, call, engine) -> None:
    engine = request.getfixturevalue(engine)
    whole, parts = whole_and_streamed(engine, call, PROMPT, "deepseek.r1-v1:0")
    choice = whole["choices"][0]
    assert choice["text"] and choice["stop_reason"] == "stop"
    assert "".join(part["choices"][0]["text"] for part in parts) == choice["text"]
    assert parts[-1]["choices"][0]["stop_reason"] == "stop"
    short = engine.answer(call({**PROMPT, "max_tokens": 1}, "InvokeModel", "deepseek.r1-v1:0"))
    assert short.body["choices"][0]["stop_reason"] == "length"
