"""maxTokens and stop sequences, to the token; streams say the same as plain answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_emulator.engine import Call, EmulatedError, Engine
from bedrock_emulator.engine.catalogue import catalogue
from bedrock_emulator.engine.generation import Draft, chunks, generate
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.tokens import tokeniser

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ENCODER = tokeniser("cl100k_base")
TEXTS = st.text(min_size=1, max_size=60) | st.sampled_from(
    ["日本語のテキスト 🎉🎉 naïve", "One two three four five six seven.", "👩‍👩‍👧‍👦 family"]
)


def made(text: str, most: int, stops: tuple[str, ...] = ()) -> Any:
    prompt = Prompt(catalogue()[CLAUDE], max_tokens=most, stop_sequences=stops)
    return generate(prompt, Draft(text=text))


@given(TEXTS, st.integers(1, 40))
def test_never_more_tokens_than_asked(text: str, most: int) -> None:
    result = made(text, most)
    whole = ENCODER.count(text)
    assert result.output_tokens == min(whole, most)
    assert result.stop_reason == ("max_tokens" if whole > most else "end_turn")
    assert text.startswith("".join(block.text for block in result.blocks))
    if whole <= most:
        assert result.blocks[0].text == text


@given(TEXTS, st.integers(1, 40), st.lists(st.text(min_size=1, max_size=3), max_size=3))
def test_a_stop_sequence_never_stands_in_the_answer(text: str, most: int, stops: Any) -> None:
    result = made(text, most, tuple(stops))
    said = "".join(block.text for block in result.blocks)
    assert text.startswith(said)
    assert result.output_tokens <= most
    assert not any(stop in said for stop in stops)
    if result.stop_reason == "stop_sequence":
        assert text.startswith(said + result.stop_sequence)


BETA = {"anthropic_beta": ["context-1m-2025-08-07"]}


@pytest.mark.parametrize("operation", ["Converse", "InvokeModel"])
@pytest.mark.parametrize(
    ("model", "beta", "fits"),
    [
        (CLAUDE, BETA, True),
        ("anthropic.claude-sonnet-4-20250514-v1:0", BETA, True),
        (CLAUDE, {}, False),
        (CLAUDE, {"anthropic_beta": ["interleaved-thinking-2025-05-14"]}, False),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", BETA, False),
    ],
)
def test_a_million_tokens_fit_where_the_beta_is_asked_for(
    fixed, call, operation, model, beta, fits
) -> None:
    text = "word " * 200_500
    body: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": text}]}]}
    body["additionalModelRequestFields"] = beta
    if operation == "InvokeModel":
        messages = [{"role": "user", "content": text}]
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": messages}
        body |= beta
    asked = call(body, operation, model)
    if fits:
        assert fixed.prepare(asked).input_tokens > 200_000
        return
    with pytest.raises(EmulatedError, match=r"prompt is too long: \d+ tokens > 200000 maximum"):
        fixed.prepare(asked)


@pytest.mark.parametrize("model", [CLAUDE, "amazon.nova-lite-v1:0"])
def test_a_stop_sequence_that_cuts_everything_leaves_no_block(fixed, call, model) -> None:
    """An empty text would be refused when the conversation is sent back."""
    body = {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"stopSequences": ["This is"]},
    }
    whole = fixed.answer(call(body, model=model)).body
    assert whole["output"]["message"]["content"] == []
    assert whole["stopReason"] == "stop_sequence"
    assert whole["usage"]["outputTokens"] > 0
    events = fixed.answer(call(body, "ConverseStream", model)).events
    assert [event.type for event in events] == ["messageStart", "messageStop", "metadata"]


def test_a_messages_body_of_which_all_is_cut_has_no_block(fixed, call) -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stop_sequences": ["This is"],
    }
    whole = fixed.answer(call(body, "InvokeModel", CLAUDE)).body
    assert (whole["content"], whole["stop_sequence"]) == ([], "This is")
    events = fixed.answer(call(body, "InvokeModelWithResponseStream", CLAUDE)).events
    kinds = [event.payload["type"] for event in events]
    assert kinds == ["message_start", "message_delta", "message_stop"]


def test_the_earliest_stop_sequence_wins() -> None:
    result = made("alpha beta gamma delta", 50, ("gamma", "beta"))
    assert (result.blocks[0].text, result.stop_sequence) == ("alpha ", "beta")
    assert result.output_tokens == 2


def test_a_stop_sequence_past_the_limit_is_never_reached() -> None:
    assert made("alpha beta gamma delta", 2, ("delta",)).stop_reason == "max_tokens"


@given(TEXTS, st.integers(1, 40), st.lists(st.text(min_size=1, max_size=2), max_size=2))
def test_a_stream_says_what_the_plain_answer_says(text: str, most: int, stops: Any) -> None:
    result = made(text, most, tuple(stops))
    for block in result.blocks:
        parts = list(chunks(block, ENCODER))
        assert "".join(part for part, _ in parts) == block.text
        counts = [tokens for _, tokens in parts]
        assert counts == sorted(counts)
        assert all(tokens <= result.output_tokens for tokens in counts)


@settings(max_examples=30)
@given(st.integers(1, 30), st.sampled_from(["Converse", "InvokeModel"]))
def test_usage_of_both_modes_is_the_same(most: int, operation: Any) -> None:
    engine = Engine(mode="fixed", fixed_answer="one two three four five six seven eight")
    converse = {
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "inferenceConfig": {"maxTokens": most},
    }
    native = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": most,
        "messages": [{"role": "user", "content": "hello"}],
    }
    body = converse if operation == "Converse" else native
    streamed = {"Converse": "ConverseStream", "InvokeModel": "InvokeModelWithResponseStream"}
    plain = engine.answer(Call(operation, CLAUDE, "111122223333", "us-east-1", body))
    stream = engine.answer(Call(streamed[operation], CLAUDE, "111122223333", "us-east-1", body))
    assert plain.usage == stream.usage
    assert plain.usage.output == min(most, 8)
    assert stream.events[-1].output_tokens == plain.usage.output


@pytest.mark.parametrize("tokens", [1, 7, 500])
@pytest.mark.parametrize("model", [CLAUDE, "openai.gpt-oss-20b-1:0", "qwen.qwen3-32b-v1:0"])
def test_the_fixed_answer_has_the_asked_number_of_tokens(call, tokens, model) -> None:
    engine = Engine(mode="fixed", fixed_output_tokens=tokens)
    body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    assert engine.answer(call(body, model=model)).usage.output == tokens


def test_limits_of_the_model_are_held(fixed, call) -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    assert fixed.prepare(call(body)).max_tokens == 64_000
    body["inferenceConfig"] = {"maxTokens": 64_001}
    with pytest.raises(EmulatedError, match="exceeds the model limit of 64000"):
        fixed.prepare(call(body))
    long = {"messages": [{"role": "user", "content": [{"text": "word " * 200_001}]}]}
    with pytest.raises(EmulatedError, match="prompt is too long"):
        fixed.prepare(call(long))
    with pytest.raises(EmulatedError, match="Input is too long"):
        fixed.prepare(call(long, model="amazon.nova-micro-v1:0"))


def test_a_tool_call_that_does_not_fit_is_cut(fixed, call) -> None:
    spec = {"name": "look_up", "inputSchema": {"json": {"type": "object"}}}
    body = {
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "toolConfig": {"tools": [{"toolSpec": spec}], "toolChoice": {"any": {}}},
        "inferenceConfig": {"maxTokens": 3},
    }
    answer = fixed.answer(call(body))
    assert (answer.body["stopReason"], answer.usage.output) == ("max_tokens", 3)
