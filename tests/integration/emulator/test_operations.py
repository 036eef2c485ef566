"""Unmodified boto3 on every operation, signed over http and with a bearer key over https."""

from __future__ import annotations

import base64
import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
PROFILE_ARN = f"arn:aws:bedrock:us-east-1:{{account}}:inference-profile/us.{CLAUDE}"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]
CLAUDE_BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Say hello."}],
}


@pytest.fixture(params=["pool", "silo"])
def account(request, emulator):
    return getattr(emulator, request.param)


@pytest.fixture(params=["sigv4-http", "bearer-https"])
def client(request, emulator, account, monkeypatch):
    if request.param == "sigv4-http":
        return emulator.client(account=account)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", account.bearer_key)
    return emulator.kept(
        f"bearer of {account.id}",
        lambda: boto3.Session().client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=emulator.https_url,
            verify=str(emulator.ca_bundle),
            config=Config(retries={"total_max_attempts": 1}),
        ),
    )


def billed(emulator, account, response):
    """The one bill record of the response, looked for in its account alone."""
    request_id = response["ResponseMetadata"]["RequestId"]
    [record] = [r for r in emulator.bill(account.id)["records"] if r["request_id"] == request_id]
    return record


def native_stream(response):
    return [json.loads(event["chunk"]["bytes"]) for event in response["body"]]


def test_converse(emulator, client, account):
    response = client.converse(
        modelId=CLAUDE, messages=HELLO, requestMetadata={"tid": f"t-{account.id}"}
    )
    usage = response["usage"]
    assert response["output"]["message"]["content"][0]["text"]
    assert response["stopReason"] == "end_turn"
    assert response["metrics"]["latencyMs"] >= 0
    record = billed(emulator, account, response)
    assert record["usage"]["input"] == usage["inputTokens"] > 0
    assert record["usage"]["output"] == usage["outputTokens"] > 0
    assert record["request_metadata"] == {"tid": f"t-{account.id}"}
    assert (record["model_id"], record["operation"]) == (CLAUDE, "Converse")
    assert record["region"] == "us-east-1"


def test_converse_stream_by_arn(emulator, client, account):
    arn = PROFILE_ARN.format(account=account.id)
    response = client.converse_stream(modelId=arn, messages=HELLO)
    events = list(response["stream"])
    assert [next(iter(event)) for event in events[:1]] == ["messageStart"]
    assert [next(iter(event)) for event in events[-2:]] == ["messageStop", "metadata"]
    usage = events[-1]["metadata"]["usage"]
    record = billed(emulator, account, response)
    assert (record["model_id"], record["model"]) == (arn, CLAUDE)
    assert record["usage"]["input"] == usage["inputTokens"]
    assert record["usage"]["output"] == usage["outputTokens"]


def test_invoke_claude(emulator, client, account):
    response = client.invoke_model(
        modelId=CLAUDE, body=json.dumps(CLAUDE_BODY), requestMetadata='{"tid": "native"}'
    )
    body = json.loads(response["body"].read())
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["x-amzn-bedrock-input-token-count"]) == body["usage"]["input_tokens"]
    assert int(headers["x-amzn-bedrock-output-token-count"]) == body["usage"]["output_tokens"]
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0
    record = billed(emulator, account, response)
    assert record["usage"]["input"] == body["usage"]["input_tokens"]
    assert record["request_metadata"] == {"tid": "native"}


def test_invoke_claude_stream(emulator, client, account):
    response = client.invoke_model_with_response_stream(
        modelId=CLAUDE, body=json.dumps(CLAUDE_BODY)
    )
    assert response["contentType"] == "application/json"
    chunks = native_stream(response)
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert chunks[0]["type"] == "message_start"
    assert chunks[-1]["type"] == "message_stop"
    record = billed(emulator, account, response)
    assert record["usage"]["input"] == metrics["inputTokenCount"]
    assert record["usage"]["output"] == metrics["outputTokenCount"]
    assert metrics["invocationLatency"] >= metrics["firstByteLatency"] >= 0


def test_invoke_nova(emulator, client, account):
    body = {"messages": [{"role": "user", "content": [{"text": "Say hello."}]}]}
    response = client.invoke_model(modelId=NOVA, body=json.dumps(body))
    usage = json.loads(response["body"].read())["usage"]
    assert billed(emulator, account, response)["usage"]["output"] == usage["outputTokens"]
    streamed = client.invoke_model_with_response_stream(modelId=NOVA, body=json.dumps(body))
    assert "metadata" in native_stream(streamed)[-1]
    assert billed(emulator, account, streamed)["usage"]["output"] == usage["outputTokens"]


@pytest.mark.parametrize("dimensions", [256, 512, 1024])
def test_embed(emulator, client, account, dimensions):
    body = json.dumps({"inputText": "two tenants", "dimensions": dimensions})
    response = client.invoke_model(modelId=TITAN, body=body)
    answer = json.loads(response["body"].read())
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert len(answer["embedding"]) == dimensions
    assert int(headers["x-amzn-bedrock-input-token-count"]) == answer["inputTextTokenCount"]
    assert "x-amzn-bedrock-output-token-count" not in headers
    record = billed(emulator, account, response)
    assert record["usage"]["input"] == answer["inputTextTokenCount"]
    assert record["usage"]["output"] == 0


def test_count_tokens_is_free(emulator, client, account):
    before = emulator.bill(account.id)["totals"]
    counted = client.count_tokens(modelId=CLAUDE, input={"converse": {"messages": HELLO}})
    native = client.count_tokens(
        modelId=CLAUDE, input={"invokeModel": {"body": json.dumps(CLAUDE_BODY).encode()}}
    )
    assert counted["inputTokens"] > 0
    assert native["inputTokens"] > 0
    assert emulator.bill(account.id)["totals"] == before
    answered = client.converse(modelId=CLAUDE, messages=HELLO)
    assert answered["usage"]["inputTokens"] == counted["inputTokens"]


def test_regions(emulator, account):
    client = emulator.client(account=account, region="eu-central-1")
    response = client.converse(modelId=NOVA, messages=HELLO)
    assert billed(emulator, account, response)["region"] == "eu-central-1"


def test_bearer_key_reaches_the_region_of_the_host(emulator, account):
    import http.client
    import ssl

    context = ssl.create_default_context(cafile=str(emulator.ca_bundle))
    port = int(emulator.https_url.rsplit(":", 1)[1])
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
    connection.request(
        "POST",
        "/model/amazon.nova-lite-v1%3A0/converse",
        json.dumps({"messages": HELLO}),
        {
            "Host": "bedrock-runtime.eu-central-1.localhost",
            "Authorization": f"Bearer {account.bearer_key}",
            "Content-Type": "application/json",
        },
    )
    response = connection.getresponse()
    assert response.status == 200
    request_id = response.headers["x-amzn-requestid"]
    response.read()
    connection.close()
    [record] = [r for r in emulator.bill(account.id)["records"] if r["request_id"] == request_id]
    assert record["region"] == "eu-central-1"


def test_padding_is_no_part_of_what_boto3_sees(tmp_path):
    """Frames of the paced mode carry Bedrock's `p`; boto3 drops it."""
    frame_payload = {"bytes": base64.b64encode(b"{}").decode(), "p": "abc"}
    from bedrock_emulator.wire import answers

    frame = answers.frame("chunk", {}, 3)
    assert json.dumps(frame_payload, separators=(",", ":")).encode() in frame


NAMED = {"serviceTier": "flex", "performanceConfigLatency": "optimized"}


@pytest.mark.parametrize(
    ("model", "body"),
    [(CLAUDE, CLAUDE_BODY), (TITAN, {"inputText": "two tenants"})],
    ids=["claude", "titan"],
)
def test_tier_and_latency_are_answered_where_they_were_asked_for(emulator, model, body):
    client = emulator.client()
    asked = {"modelId": model, "body": json.dumps(body)}
    calls = [client.invoke_model]
    if model != TITAN:
        calls.append(client.invoke_model_with_response_stream)
    for call in calls:
        named, plain = call(**asked, **NAMED), call(**asked)
        assert named["serviceTier"] == billed(emulator, emulator.pool, named)["service_tier"]
        assert named["performanceConfigLatency"] == "optimized"
        assert not {"serviceTier", "performanceConfigLatency"} & set(plain)
        for unknown in ({"serviceTier": "best"}, {"performanceConfigLatency": "best"}):
            with pytest.raises(ClientError) as caught:
                call(**asked, **unknown)
            assert caught.value.response["Error"]["Code"] == "ValidationException"
