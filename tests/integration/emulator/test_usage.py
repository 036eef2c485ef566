"""A call's usage said exactly: billed, logged and reported alike, in every shape of answer."""

from __future__ import annotations

import json

import pytest
from tests.support.emulator import start_emulator

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"  # has no prompt cache
TITAN = "amazon.titan-embed-text-v2:0"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]
CLAUDE_BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Say hello."}],
}
CLASSES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
PLAIN = {"input": 45, "output": 511}
CACHED = {
    "input": 3,
    "output": 2,
    "cache_read": 1_000,
    "cache_write_5m": 200,
    "cache_write_1h": 30,
}


@pytest.fixture
def ruled(emulator, request):
    """Says the usage of this test's calls; other calls of the emulator keep theirs."""
    tagged = {"test": request.node.name.replace("[", ":").replace("]", "")}

    def rule(usage):
        action = {"kind": "usage", **usage}
        emulator.rules({"match": {"request_metadata": tagged}, "action": action})
        return tagged

    return rule


def in_the_books(emulator, response):
    """The call's usage by class in the bill, and its counts in the log."""
    request_id = response["ResponseMetadata"]["RequestId"]
    [billed] = [r for r in emulator.bill()["records"] if r["request_id"] == request_id]
    [logged] = [r for r in emulator.logged() if r["requestId"] == request_id]
    counts = {
        "input": logged["input"]["inputTokenCount"],
        "output": logged["output"]["outputTokenCount"],
        "cache_read": logged["input"]["cacheReadInputTokenCount"],
        "cache_write": logged["input"]["cacheWriteInputTokenCount"],
    }
    return billed["usage"], counts


def whole(usage):
    return {**dict.fromkeys(CLASSES, 0), **usage}


def logged_as(usage):
    usage = whole(usage)
    write = usage["cache_write_5m"] + usage["cache_write_1h"]
    return {
        **{name: usage[name] for name in ("input", "output", "cache_read")},
        "cache_write": write,
    }


def converse_usage(usage):
    """What Converse reports: members of the cache only where it had a part."""
    usage = whole(usage)
    write = usage["cache_write_5m"] + usage["cache_write_1h"]
    total = sum(usage.values())
    members = {
        "inputTokens": usage["input"],
        "outputTokens": usage["output"],
        "totalTokens": total,
    }
    if usage["cache_read"] or write:
        members |= {"cacheReadInputTokens": usage["cache_read"], "cacheWriteInputTokens": write}
    if usage["cache_write_1h"]:
        members["cacheDetails"] = [
            {"ttl": "1h", "inputTokens": usage["cache_write_1h"]},
            {"ttl": "5m", "inputTokens": usage["cache_write_5m"]},
        ]
    return members


@pytest.mark.parametrize("model", [NOVA, QWEN])
@pytest.mark.parametrize("usage", [PLAIN, CACHED], ids=["plain", "cached"])
def test_converse_and_its_stream(emulator, ruled, model, usage):
    tagged = ruled(usage)
    client = emulator.client()
    whole_answer = client.converse(modelId=model, messages=HELLO, requestMetadata=tagged)
    streamed = client.converse_stream(modelId=model, messages=HELLO, requestMetadata=tagged)
    last = list(streamed["stream"])[-1]["metadata"]
    for response, reported in ((whole_answer, whole_answer["usage"]), (streamed, last["usage"])):
        assert reported == converse_usage(usage)
        assert in_the_books(emulator, response) == (whole(usage), logged_as(usage))


def test_claude_s_own_body_headers_and_last_chunk(emulator, ruled):
    metadata = json.dumps(ruled(CACHED))
    client = emulator.client()
    asked = {"modelId": CLAUDE, "body": json.dumps(CLAUDE_BODY), "requestMetadata": metadata}
    response = client.invoke_model(**asked)
    usage = json.loads(response["body"].read())["usage"]
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    shown = {
        name: int(headers[f"x-amzn-bedrock-{name}-token-count"])
        for name in ("input", "output", "cache-read-input", "cache-write-input")
    }
    assert list(shown.values()) == [3, 2, 1_000, 230]
    assert usage["cache_creation"] == {
        "ephemeral_5m_input_tokens": 200,
        "ephemeral_1h_input_tokens": 30,
    }
    assert (usage["input_tokens"], usage["output_tokens"]) == (3, 2)
    assert in_the_books(emulator, response) == (whole(CACHED), logged_as(CACHED))
    streamed = client.invoke_model_with_response_stream(**asked)
    chunks = [json.loads(event["chunk"]["bytes"]) for event in streamed["body"]]
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (3, 2)
    assert metrics["cacheReadInputTokenCount"] == 1_000
    assert metrics["cacheWriteInputTokenCount"] == 230
    assert in_the_books(emulator, streamed) == (whole(CACHED), logged_as(CACHED))


def test_an_embedding_has_input_alone(emulator, ruled):
    metadata = json.dumps(ruled({"input": 77}))
    response = emulator.client().invoke_model(
        modelId=TITAN, body=json.dumps({"inputText": "two tenants"}), requestMetadata=metadata
    )
    assert json.loads(response["body"].read())["inputTextTokenCount"] == 77
    assert response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"] == "77"
    assert in_the_books(emulator, response)[0] == whole({"input": 77})


def test_a_stream_that_breaks_is_billed_its_share(emulator, ruled):
    tagged = ruled(PLAIN)
    emulator.rules(
        {"match": {"request_metadata": tagged}, "action": {"kind": "cut", "after_events": 2}}
    )
    streamed = emulator.client().converse_stream(
        modelId=NOVA, messages=HELLO, requestMetadata=tagged
    )
    events = []
    try:
        events.extend(streamed["stream"])
    except Exception:  # how the client tells of a cut connection is the client's own
        assert not any("metadata" in event for event in events)
    usage, _ = in_the_books(emulator, streamed)
    assert usage["input"] == 45
    assert 0 < usage["output"] < 511


def test_calls_that_no_rule_names_keep_their_own(emulator, ruled):
    ruled(PLAIN)
    for account in (emulator.pool, emulator.silo):
        response = emulator.client(account=account).converse(modelId=NOVA, messages=HELLO)
        request_id = response["ResponseMetadata"]["RequestId"]
        [record] = [r for r in emulator.bill()["records"] if r["request_id"] == request_id]
        assert record["usage"]["output"] == response["usage"]["outputTokens"] < 511


@pytest.mark.parametrize("form", ["option", "file"])
def test_the_fixed_answer_has_an_exact_number_of_tokens(tmp_path, form):
    asked = {"fixed_output_tokens": 511} if form == "option" else {}
    config = None if form == "option" else "fixed_output_tokens = 511"
    with start_emulator(tmp_path, config=config, **asked) as emulator:
        client = emulator.client()
        for model in (NOVA, CLAUDE, QWEN):
            assert client.converse(modelId=model, messages=HELLO)["usage"]["outputTokens"] == 511
        short = client.converse(modelId=NOVA, messages=HELLO, inferenceConfig={"maxTokens": 20})
        assert (short["usage"]["outputTokens"], short["stopReason"]) == (20, "max_tokens")
