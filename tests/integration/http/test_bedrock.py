"""Unmodified boto3 against the edge: SigV4 over plain http, bearer keys over TLS."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json
from tests.support.http_services import CONVERSE_ANSWER

MODEL = "amazon.nova-micro-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/a/b%c"
MESSAGES: Any = [{"role": "user", "content": [{"text": "hello"}]}]


def bearer_client(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "tk_bolt")
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=edge.https_url,
        verify=str(edge.ca_bundle),
    )


def test_converse_signed(edge: Edge) -> None:
    answer = edge.boto3().converse(modelId=MODEL, messages=MESSAGES)
    assert answer["output"]["message"]["content"] == [{"text": "Grüße, 世界 🌍"}]
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-tenantry-tenant"] == "tnt_acme"
    assert headers["x-tenantry-charge"] == "0.0315 USD"
    assert answer["ResponseMetadata"]["RequestId"] == headers["x-tenantry-request-id"]
    assert headers["x-tenantry-upstream-request-id"] == "0a1b2c3d-0000-4000-8000-000000000001"
    assert headers["x-amzn-bedrock-input-token-count"] == "1000"
    assert headers["x-tenantry-request-id"][14] == "7", "a UUIDv7"
    ctx, chat = edge.services.inference.asked[0]
    assert (ctx.principal.tenant_id, chat.model, chat.operation) == ("tnt_acme", MODEL, "Converse")
    assert ctx.idempotency is not None and ctx.idempotency.implied


def test_converse_with_bearer_over_tls(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = bearer_client(edge, monkeypatch).converse(modelId=MODEL, messages=MESSAGES)
    assert answer["usage"]["totalTokens"] == 1_700
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-tenant"] == "tnt_bolt"


@pytest.mark.parametrize("model", [MODEL, PROFILE])
def test_a_signature_covers_the_raw_path(edge: Edge, model: str) -> None:
    edge.boto3().converse(modelId=model, messages=MESSAGES)
    assert edge.services.inference.asked[0][1].model == model


def test_converse_stream(edge: Edge) -> None:
    answer = edge.boto3().converse_stream(modelId=MODEL, messages=MESSAGES)
    events = list(answer["stream"])
    assert [next(iter(event)) for event in events] == [
        "messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop",
        "messageStop", "metadata",
    ]  # fmt: skip
    assert events[-1]["metadata"]["usage"]["inputTokens"] == 1_000
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-tenantry-tenant"] == "tnt_acme"
    assert answer["ResponseMetadata"]["RequestId"] == headers["x-tenantry-request-id"]
    assert headers["x-tenantry-upstream-request-id"] == "up-1"


def test_the_request_id_of_a_refusal_is_ours_too(edge: Edge) -> None:
    with pytest.raises(ClientError) as refused:
        edge.boto3().converse(modelId="unknown", messages=MESSAGES)
    told = refused.value.response["ResponseMetadata"]
    assert told["RequestId"] == told["HTTPHeaders"]["x-tenantry-request-id"]
    assert "x-tenantry-upstream-request-id" not in told["HTTPHeaders"]


def test_the_metadata_frame_carries_the_charge(edge: Edge) -> None:
    from tenantry.domain.eventstream import Decoder

    status, _, body = post_json(
        edge, f"/model/{MODEL}/converse-stream", {"messages": MESSAGES}, key="tk_acme"
    )
    assert status == 200
    frames = Decoder().feed(body)
    assert [f.headers.get("x-tenantry-charge") for f in frames] == [None] * 5 + ["0.0315 USD"]


def test_invoke(edge: Edge) -> None:
    answer = edge.boto3().invoke_model(
        modelId=MODEL,
        body=json.dumps({"messages": []}),
        serviceTier="priority",
        requestMetadata='{"team": "a"}',
        trace="ENABLED",
    )
    assert json.loads(answer["body"].read()) == CONVERSE_ANSWER
    chat = edge.services.inference.asked[0][1]
    assert chat.service_tier == "priority"
    assert chat.request_metadata == {"team": "a"}
    assert chat.headers["x-amzn-bedrock-trace"] == "ENABLED"


def test_invoke_stream(edge: Edge) -> None:
    answer = edge.boto3().invoke_model_with_response_stream(modelId=MODEL, body=b'{"a": 1}')
    chunks = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    assert chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 500
    assert answer["contentType"] == "application/json", "said once"


def test_count_tokens_costs_nothing(edge: Edge) -> None:
    answer = edge.boto3().count_tokens(modelId=MODEL, input={"converse": {"messages": MESSAGES}})
    assert answer["inputTokens"] == 7
    assert "x-tenantry-charge" not in answer["ResponseMetadata"]["HTTPHeaders"]


def test_a_wrong_secret_is_one_request_and_a_clear_error(edge: Edge) -> None:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=edge.url,
        aws_access_key_id="AKIAACME",
        aws_secret_access_key="wrong",
    )
    with pytest.raises(ClientError) as caught:
        client.converse(modelId=MODEL, messages=MESSAGES)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-tenantry-request-id"]
    assert len(edge.requests) == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_a_long_integer_that_a_model_made_up_may_be_echoed(edge: Edge, streamed: bool) -> None:
    wide = {"id": 987654321098765432109876543210, "least": [-(2**63) - 1], "rate": 0.1}
    use = {"toolUseId": "t", "name": "look", "input": wide}
    result = {"toolUseId": "t", "content": [{"json": wide}]}
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": [{"toolUse": use}]},
        {"role": "user", "content": [{"toolResult": result}]},
    ]
    sdk = edge.boto3()
    (sdk.converse_stream if streamed else sdk.converse)(modelId=MODEL, messages=messages)
    assert json.dumps(edge.services.inference.asked[0][1].body["messages"]) == json.dumps(messages)
    refused = {"maxTokens": wide["id"]}
    with pytest.raises(ClientError, match="send it as a string"):
        sdk.converse(modelId=MODEL, messages=messages, inferenceConfig=refused)
    assert len(edge.services.inference.asked) == 1
