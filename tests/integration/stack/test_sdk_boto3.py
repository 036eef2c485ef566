"""Unmodified boto3 through the gateway: every operation, both ways to sign, to the token."""

import json
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError
from tests.support.stack import Stack, Tenant
from tests.support.stack_clients import converse_body, converse_path

from tenantry.domain import money

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "amazon.nova-micro-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
# $ per 1M tokens, in and out, of the edition as shipped; the tenants' plan has markup 3.
PRICES = {CLAUDE: ("1", "5"), NOVA: ("0.035", "0.14"), TITAN: ("0.02", "0")}
TOOL = {
    "toolSpec": {
        "name": "weather",
        "description": "The weather of a city.",
        "inputSchema": {
            "json": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            }
        },
    }
}
NATIVE: dict[str, dict[str, Any]] = {
    CLAUDE: {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "Hello."}],
    },
    NOVA: {
        "schemaVersion": "messages-v1",
        "messages": [{"role": "user", "content": [{"text": "Hello."}]}],
        "inferenceConfig": {"maxTokens": 64},
    },
}
both_ways = pytest.mark.parametrize("how", ["sigv4", "bearer"])
both_models = pytest.mark.parametrize("model", [CLAUDE, NOVA])


def charge(model: str, tokens_in: int, tokens_out: int) -> str:
    price_in, price_out = (Decimal(price) for price in PRICES[model])
    exact = 3 * (tokens_in * price_in + tokens_out * price_out) / 1_000_000
    return f"{money.plain(exact)} USD"


def check_tagged(answer: Any, tenant: Tenant, charged: str | None) -> None:
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-tenantry-tenant"] == tenant.id
    assert headers["x-tenantry-request-id"]
    assert headers.get("x-tenantry-charge") == charged
    told = " ".join(headers).lower()
    assert not [word for word in ("cost", "markup", "waste") if word in told]


@both_ways
@both_models
def test_converse(stack: Stack, tenants: tuple[Tenant, Tenant], how: Any, model: str) -> None:
    anna, _ = tenants
    answer = stack.boto3(anna, how).converse(modelId=model, **converse_body())
    assert answer["output"]["message"]["content"][0]["text"]
    assert answer["stopReason"] == "end_turn"
    usage = answer["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    check_tagged(answer, anna, charge(model, usage["inputTokens"], usage["outputTokens"]))


@both_ways
@both_models
def test_converse_stream(
    stack: Stack, tenants: tuple[Tenant, Tenant], how: Any, model: str
) -> None:
    anna, _ = tenants
    answer = stack.boto3(anna, how).converse_stream(modelId=model, **converse_body())
    check_tagged(answer, anna, None)
    with closing(answer["stream"]) as stream:
        events = list(stream)
    names = [next(iter(event)) for event in events]
    assert (names[0], names[-2:]) == ("messageStart", ["messageStop", "metadata"])
    text = "".join(
        event["contentBlockDelta"]["delta"]["text"]
        for event in events
        if "contentBlockDelta" in event
    )
    plain = stack.boto3(anna, how).converse(modelId=model, **converse_body())
    assert text == plain["output"]["message"]["content"][0]["text"]
    assert events[-1]["metadata"]["usage"]["outputTokens"] == plain["usage"]["outputTokens"]


@both_models
def test_the_frame_with_usage_says_the_charge(
    stack: Stack, tenants: tuple[Tenant, Tenant], model: str
) -> None:
    anna, _ = tenants
    status, headers, body = stack.http(
        "POST", converse_path(model, stream=True), converse_body(), tenant=anna
    )
    assert (status, headers["x-tenantry-tenant"]) == (200, anna.id)
    frames = EventStreamBuffer()
    frames.add_data(body)
    charged = [(f.headers.get("x-tenantry-charge"), f.headers[":event-type"], f) for f in frames]
    assert [name for told, name, _ in charged if told] == ["metadata"]
    usage = json.loads(charged[-1][2].payload)["usage"]
    assert charged[-1][0] == charge(model, usage["inputTokens"], usage["outputTokens"])


@both_ways
def test_tools_and_what_they_found(stack: Stack, tenants: tuple[Tenant, Tenant], how: Any) -> None:
    anna, _ = tenants
    sdk = stack.boto3(anna, how)
    ask = {"role": "user", "content": [{"text": "The weather in Oslo?"}]}
    forced = {"tools": [TOOL], "toolChoice": {"tool": {"name": "weather"}}}
    first = sdk.converse(modelId=CLAUDE, messages=[ask], toolConfig=forced)
    assert first["stopReason"] == "tool_use"
    call = first["output"]["message"]["content"][-1]["toolUse"]
    assert call["name"] == "weather"
    found = {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "Sun."}]}}
    turns = [ask, first["output"]["message"], {"role": "user", "content": [found]}]
    second = sdk.converse(modelId=CLAUDE, messages=turns, toolConfig={"tools": [TOOL]})
    usage = second["usage"]
    check_tagged(second, anna, charge(CLAUDE, usage["inputTokens"], usage["outputTokens"]))


@both_ways
def test_a_clients_own_metadata_reaches_bedrock(
    stack: Stack, tenants: tuple[Tenant, Tenant], how: Any
) -> None:
    anna, _ = tenants
    stack.boto3(anna, how).converse(
        modelId=NOVA, **converse_body(), requestMetadata={"feature": "chat", "team": "a b"}
    )
    (record,) = [r for r in stack.bill_records() if r["request_metadata"].get("tid") == anna.id]
    assert record["request_metadata"]["feature"] == "chat"
    assert record["request_metadata"].keys() == {"feature", "team", "tid", "rid", "att", "env"}


@both_ways
@both_models
def test_invoke_model(stack: Stack, tenants: tuple[Tenant, Tenant], how: Any, model: str) -> None:
    anna, _ = tenants
    answer = stack.boto3(anna, how).invoke_model(modelId=model, body=json.dumps(NATIVE[model]))
    body = json.loads(answer["body"].read())
    if model == CLAUDE:
        assert (body["type"], body["role"]) == ("message", "assistant")
        counted = body["usage"]["input_tokens"], body["usage"]["output_tokens"]
    else:
        assert body["output"]["message"]["content"][0]["text"]
        counted = body["usage"]["inputTokens"], body["usage"]["outputTokens"]
    check_tagged(answer, anna, charge(model, *counted))


@both_ways
@both_models
def test_invoke_model_with_response_stream(
    stack: Stack, tenants: tuple[Tenant, Tenant], how: Any, model: str
) -> None:
    anna, _ = tenants
    answer = stack.boto3(anna, how).invoke_model_with_response_stream(
        modelId=model, body=json.dumps(NATIVE[model])
    )
    check_tagged(answer, anna, None)
    with closing(answer["body"]) as stream:
        chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["inputTokenCount"] > 0
    assert metrics["outputTokenCount"] > 0
    first = "message_start" if model == CLAUDE else "messageStart"
    assert chunks[0].get("type", next(iter(chunks[0]))) == first


@both_ways
def test_invoke_titan(stack: Stack, tenants: tuple[Tenant, Tenant], how: Any) -> None:
    anna, _ = tenants
    answer = stack.boto3(anna, how).invoke_model(
        modelId=TITAN, body=json.dumps({"inputText": "Hello.", "dimensions": 256})
    )
    body = json.loads(answer["body"].read())
    assert len(body["embedding"]) == 256
    check_tagged(answer, anna, charge(TITAN, body["inputTextTokenCount"], 0))


@both_ways
def test_count_tokens_is_free(stack: Stack, tenants: tuple[Tenant, Tenant], how: Any) -> None:
    anna, _ = tenants
    sdk = stack.boto3(anna, how)
    converse = {"messages": converse_body()["messages"]}
    answer = sdk.count_tokens(modelId=CLAUDE, input={"converse": converse})
    check_tagged(answer, anna, None)
    native = sdk.count_tokens(
        modelId=CLAUDE, input={"invokeModel": {"body": json.dumps(NATIVE[CLAUDE])}}
    )
    assert answer["inputTokens"] == native["inputTokens"] > 0
    assert stack.bill(anna) == {}
    used = sdk.converse(modelId=CLAUDE, **converse_body())["usage"]["inputTokens"]
    assert answer["inputTokens"] == used


@both_ways
def test_a_refusal_of_bedrock_is_passed_on_and_costs_nothing(
    stack: Stack, tenants: tuple[Tenant, Tenant], how: Any
) -> None:
    anna, _ = tenants
    with pytest.raises(ClientError) as refused:
        stack.boto3(anna, how).converse(
            modelId=CLAUDE,
            messages=[{"role": "user", "content": [{"text": "a"}]}],
            toolConfig={
                "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "array"}}}}]
            },
        )
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "inputSchema" in error["Message"]
    assert stack.ledger(anna) == {}


def test_a_silo_answers_from_its_own_account(stack: Stack, tenants: tuple[Tenant, Tenant]) -> None:
    alone = stack.tenant(placement="silo")
    for how in ("sigv4", "bearer"):
        stack.boto3(alone, how).converse(modelId=CLAUDE, **converse_body())  # type: ignore[arg-type]
    records = [r for r in stack.bill_records() if r["request_metadata"].get("tid") == alone.id]
    assert {record["account"] for record in records} == {alone.account}
    stack.wait_settled(alone)


def test_a_document_block_crosses_as_bytes(stack: Stack, tenants: tuple[Tenant, Tenant]) -> None:
    anna, _ = tenants
    block = {"document": {"format": "txt", "name": "notes", "source": {"bytes": b"Some notes."}}}
    ask = {"role": "user", "content": [{"text": "What do the notes say?"}, block]}
    answer = stack.boto3(anna).converse(modelId=CLAUDE, messages=[ask])
    usage = answer["usage"]
    check_tagged(answer, anna, charge(CLAUDE, usage["inputTokens"], usage["outputTokens"]))
