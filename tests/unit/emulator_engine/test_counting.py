"""One count everywhere: CountTokens, the response, the headers, the quota."""

from __future__ import annotations

import base64
import json

import pytest

from bedrock_emulator.engine import EmulatedError

NATIVE = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 20,
    "system": "Be brief, and naïve. 日本",
    "messages": [{"role": "user", "content": "What is a tenant? 🎉"}],
    "tools": [{"name": "t", "description": "d", "input_schema": {"type": "object"}}],
}
CONVERSE = {
    "system": [
        {"text": "Be brief."},
        {"text": "word " * 1_500},
        {"cachePoint": {"type": "default"}},
    ],
    "messages": [
        {"role": "user", "content": [{"text": "What is a tenant?"}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": "x"}]}}],
        },
    ],
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}]
    },
}


def test_converse_bills_what_count_tokens_said(fixed, call) -> None:
    counted = fixed.count_tokens(call({"input": {"converse": CONVERSE}}, "CountTokens"))
    for operation in ("Converse", "ConverseStream", "Converse"):
        request = call(CONVERSE, operation)
        used = fixed.answer(request).usage
        assert used.input + used.cache_read + used.cache_write == counted
        assert fixed.prepare(request).input_tokens == counted


def test_invoke_bills_what_count_tokens_said(fixed, call) -> None:
    encoded = base64.b64encode(json.dumps(NATIVE).encode()).decode()
    counted = fixed.count_tokens(call({"input": {"invokeModel": {"body": encoded}}}))
    answer = fixed.answer(call(NATIVE, "InvokeModel"))
    assert answer.body["usage"]["input_tokens"] == counted
    assert answer.headers["x-amzn-bedrock-input-token-count"] == str(counted)


def test_counting_is_refused_for_models_that_cannot(fixed, call) -> None:
    body = {"input": {"converse": CONVERSE}}
    for model in ("us.anthropic.claude-sonnet-4-6", "meta.llama3-3-70b-instruct-v1:0"):
        with pytest.raises(EmulatedError, match="doesn't support counting tokens"):
            fixed.count_tokens(call(body, model=model))


def test_a_served_tier_is_told_and_an_unserved_one_falls_back(fixed, call) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    asked = body | {"serviceTier": {"type": "flex"}}
    served = fixed.answer(call(asked, model="amazon.nova-pro-v1:0"))
    assert served.body["serviceTier"] == {"type": "flex"} and served.service_tier == "flex"
    fallen = fixed.answer(call(asked))
    assert fallen.body["serviceTier"] == {"type": "default"} and fallen.service_tier == "default"
    header = {"x-amzn-bedrock-service-tier": "priority"}
    chat = {"messages": [{"role": "user", "content": "hello"}]}
    native = call(chat, "InvokeModel", "openai.gpt-oss-20b-1:0", headers=header)
    assert fixed.answer(native).service_tier == "priority"


@pytest.mark.parametrize(
    ("model", "served"),
    [
        ("us.amazon.nova-2-lite-v1:0", "flex"),
        ("arn:aws:bedrock:us-east-1::inference-profile/us.amazon.nova-2-lite-v1:0", "flex"),
        ("amazon.nova-2-lite-v1:0", "default"),
        ("global.amazon.nova-2-lite-v1:0", "default"),
        ("us.amazon.nova-pro-v1:0", "flex"),
    ],
)
def test_a_tier_may_be_served_by_one_profile_alone(fixed, call, model, served) -> None:
    """As the price map has it, which prices flex of Nova 2 Lite in the US profile only."""
    body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    converse = call(body | {"serviceTier": {"type": "flex"}}, model=model)
    assert fixed.answer(converse).service_tier == served
    native = call(body, "InvokeModel", model=model, headers={"x-amzn-bedrock-service-tier": "flex"})
    assert fixed.answer(native).service_tier == served


def test_lone_surrogates_are_refused(fixed, call) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "a\ud800b"}]}]}
    with pytest.raises(EmulatedError, match="not valid Unicode"):
        fixed.answer(call(body))
    with pytest.raises(EmulatedError, match="not valid Unicode"):
        fixed.answer(call({"inputText": "\ud800"}, "InvokeModel", "amazon.titan-embed-text-v2:0"))


def test_nul_is_text_like_any_other(fixed, call) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "a\x00b"}]}]}
    assert fixed.answer(call(body)).usage.input > 0
