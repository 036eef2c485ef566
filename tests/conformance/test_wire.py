"""What a gateway builds upon in Bedrock's wire: usage, events, headers, errors, counts, caching."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
HELLO = [{"role": "user", "content": [{"text": "Count from one to five in words."}]}]
MOST = 20
CLAUDE_BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": MOST,
    "messages": [{"role": "user", "content": "Count from one to five in words."}],
}
GEOGRAPHIES = {"us": "us", "ca": "us", "eu": "eu", "ap": "apac"}


@pytest.fixture
def runtime(target):
    return target.client("bedrock-runtime")


@pytest.fixture
def claude(target):
    """Newer Claude models are called through their cross-region profile."""
    return f"{GEOGRAPHIES[target.region.partition('-')[0]]}.{CLAUDE}"


@pytest.fixture(params=["nova", "claude"])
def model(request, claude):
    return NOVA if request.param == "nova" else claude


def ask(call, model, **members):
    settings = {"inferenceConfig": {"maxTokens": MOST}, **members}
    return call(modelId=model, messages=HELLO, **settings)


def prompt_tokens(usage):
    return (
        usage["inputTokens"]
        + usage.get("cacheReadInputTokens", 0)
        + usage.get("cacheWriteInputTokens", 0)
    )


def check_usage(usage):
    assert prompt_tokens(usage) + usage["outputTokens"] == usage["totalTokens"]
    assert usage["inputTokens"] > 0
    assert 0 < usage["outputTokens"] <= MOST
    written = sum(part["inputTokens"] for part in usage.get("cacheDetails", ()))
    assert written in (0, usage.get("cacheWriteInputTokens", 0))


def test_the_members_of_usage_add_up(runtime, model):
    answer = ask(runtime.converse, model)
    check_usage(answer["usage"])
    assert answer["stopReason"] in ("end_turn", "max_tokens")
    assert answer["metrics"]["latencyMs"] >= 0
    assert answer["output"]["message"]["role"] == "assistant"
    assert uuid.UUID(answer["ResponseMetadata"]["RequestId"])


def test_events_come_in_order_and_the_usage_last(runtime, model):
    streamed = ask(runtime.converse_stream, model)
    events = [next(iter(event.items())) for event in streamed["stream"]]
    names = [name for name, _ in events]
    assert names[0] == "messageStart"
    assert names[-2:] == ["messageStop", "metadata"]
    open_block = None
    for name, payload in events[1:-2]:
        index = payload["contentBlockIndex"]
        if name in ("contentBlockStart", "contentBlockDelta"):
            assert open_block in (None, index)
            open_block = index
        else:
            assert (name, index) == ("contentBlockStop", open_block)
            open_block = None
    assert open_block is None
    check_usage(events[-1][1]["usage"])
    assert events[-1][1]["metrics"]["latencyMs"] >= 0


def test_the_headers_of_a_native_answer_count_what_its_body_counts(runtime, claude):
    response = runtime.invoke_model(modelId=claude, body=json.dumps(CLAUDE_BODY))
    usage = json.loads(response["body"].read())["usage"]
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["x-amzn-bedrock-input-token-count"]) == usage["input_tokens"]
    assert int(headers["x-amzn-bedrock-output-token-count"]) == usage["output_tokens"] <= MOST
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0


def test_the_last_chunk_of_a_native_stream_has_the_metrics(runtime, claude):
    response = runtime.invoke_model_with_response_stream(
        modelId=claude, body=json.dumps(CLAUDE_BODY)
    )
    chunks = [json.loads(event["chunk"]["bytes"]) for event in response["body"]]
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert (chunks[0]["type"], chunks[-1]["type"]) == ("message_start", "message_stop")
    assert metrics["inputTokenCount"] == chunks[0]["message"]["usage"]["input_tokens"]
    [delta] = [chunk for chunk in chunks if chunk["type"] == "message_delta"]
    assert metrics["outputTokenCount"] == delta["usage"]["output_tokens"]


def test_an_embedding_counts_its_input_in_header_and_body(runtime):
    response = runtime.invoke_model(
        modelId=TITAN, body=json.dumps({"inputText": "two tenants", "dimensions": 256})
    )
    answer = json.loads(response["body"].read())
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["x-amzn-bedrock-input-token-count"]) == answer["inputTextTokenCount"] > 0
    assert len(answer["embedding"]) == 256
    assert sum(number * number for number in answer["embedding"]) == pytest.approx(1, abs=1e-3)


def test_counted_tokens_are_the_billed_ones(runtime, claude):
    system = [{"text": "You answer in one word."}]
    counted = runtime.count_tokens(
        modelId=CLAUDE, input={"converse": {"messages": HELLO, "system": system}}
    )
    answer = ask(runtime.converse, claude, system=system)
    assert counted["inputTokens"] == prompt_tokens(answer["usage"])


def test_a_cached_prompt_is_split_and_not_changed(runtime, claude):
    """Whether a prefix is found is the service's affair; its parts always make up the whole."""
    text = f"{uuid.uuid4()} " + "The ledger is kept exactly. " * 1_200
    system = [{"text": text}, {"cachePoint": {"type": "default"}}]
    first, second = (ask(runtime.converse, claude, system=system)["usage"] for _ in range(2))
    assert first["cacheReadInputTokens"] == 0
    assert first["cacheWriteInputTokens"] > first["inputTokens"]
    assert prompt_tokens(first) == prompt_tokens(second)
    assert second["cacheReadInputTokens"] in (0, first["cacheWriteInputTokens"])


def refused(call, **members):
    with pytest.raises(ClientError) as caught:
        call(**members)
    response = caught.value.response
    assert response["Error"]["Message"]
    assert response["ResponseMetadata"]["RequestId"]
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_refusals(target, runtime):
    invalid = (400, "ValidationException")
    assert refused(runtime.converse, modelId="amazon.no-such-model", messages=HELLO) == invalid
    assert refused(runtime.converse, modelId=NOVA, messages=[]) == invalid
    limits = {"maxTokens": 10_000_000}
    asked = {"modelId": NOVA, "messages": HELLO, "inferenceConfig": limits}
    assert refused(runtime.converse, **asked) == invalid
    unknown = (403, "UnrecognizedClientException")
    assert refused(target.stranger().converse, modelId=NOVA, messages=HELLO) == unknown


def test_a_refused_stream_is_refused_before_it_begins(runtime):
    status, code = refused(runtime.converse_stream, modelId="amazon.no-such-model", messages=HELLO)
    assert (status, code) == (400, "ValidationException")
