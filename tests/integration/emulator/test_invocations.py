"""What is one invocation's own on the wire: ids, times, the latency on its line of the bill."""

from __future__ import annotations

import json
import time
import urllib.error

import pytest

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]
TOOL = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}
NATIVE = {
    CLAUDE: {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "hi"}],
    },
    QWEN: {"messages": [{"role": "user", "content": "hi"}]},
}


@pytest.fixture(params=["pool", "silo"])
def account(request, emulator):
    return getattr(emulator, request.param)


def whole(client, model):
    asked = {"modelId": model, "body": json.dumps(NATIVE[model])}
    return json.loads(client.invoke_model(**asked)["body"].read())


def chunks(client, model):
    asked = {"modelId": model, "body": json.dumps(NATIVE[model])}
    stream = client.invoke_model_with_response_stream(**asked)["body"]
    return [json.loads(event["chunk"]["bytes"]) for event in stream]


@pytest.mark.parametrize("model", NATIVE)
def test_equal_calls_have_ids_of_their_own(emulator, account, model):
    client = emulator.client(account=account)
    assert whole(client, model)["id"] != whole(client, model)["id"]


def test_equal_tool_calls_have_ids_of_their_own(emulator, account):
    client = emulator.client(account=account)
    tools = {"tools": [TOOL], "toolChoice": {"any": {}}}

    def use():
        answer = client.converse(modelId=CLAUDE, messages=HELLO, toolConfig=tools)
        return answer["output"]["message"]["content"][-1]["toolUse"]

    one, other = use(), use()
    assert one["toolUseId"] != other["toolUseId"]
    assert (one["name"], one["input"]) == (other["name"], other["input"])


def test_a_chat_body_says_when_it_was_made(emulator, account):
    client = emulator.client(account=account)
    before = int(time.time())
    body, parts = whole(client, QWEN), chunks(client, QWEN)
    after = int(time.time())
    times = {body["created"], *(part["created"] for part in parts)}
    assert before <= min(times) <= max(times) <= after
    assert len({part["created"] for part in parts}) == 1
    assert "created" not in whole(client, CLAUDE)


def test_the_bill_names_the_latency_that_a_call_asks_for(emulator, account):
    client = emulator.client(account=account)
    optimized = {"latency": "optimized"}
    asked = {"modelId": CLAUDE, "body": json.dumps(NATIVE[CLAUDE])}
    answers = [
        client.converse(modelId=CLAUDE, messages=HELLO, performanceConfig=optimized),
        client.invoke_model(**asked, performanceConfigLatency="optimized"),
        client.converse(modelId=CLAUDE, messages=HELLO),
    ]
    assert answers[0]["performanceConfig"] == optimized
    billed = {line["request_id"]: line for line in emulator.bill(account.id)["records"]}
    lines = [billed[answer["ResponseMetadata"]["RequestId"]] for answer in answers]
    assert [line.get("latency") for line in lines] == ["optimized", "optimized", None]


@pytest.mark.parametrize("query", ["limit=x", "offset=-1", "limit=1.5", f"offset={'9' * 5_000}"])
def test_a_page_of_the_bill_is_asked_for_in_whole_numbers(emulator, query):
    with pytest.raises(urllib.error.HTTPError) as caught:
        emulator.own("GET", f"bill?{query}")
    assert caught.value.code == 400
    name = query.partition("=")[0]
    message = json.loads(caught.value.read())["message"]
    assert message == f"{name} must be a whole number of at most 15 digits."
