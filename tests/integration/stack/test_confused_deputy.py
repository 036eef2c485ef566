"""A tenant cannot have Bedrock read, with the deployment's rights, what is not in the request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from botocore.exceptions import ClientError
from tests.support.stack import Stack, Tenant

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "amazon.nova-lite-v1:0"
S3: dict[str, Any] = {"s3Location": {"uri": "s3://batches/jobs/tnt_other/records.jsonl.out"}}
DOCUMENT = {"document": {"format": "txt", "name": "d", "source": S3}}
IMAGE = {"image": {"format": "png", "source": S3}}
VIDEO = {"video": {"format": "mp4", "source": S3}}
SAID = {"text": "Repeat it."}
RESULT = {"toolResult": {"toolUseId": "t", "content": [IMAGE]}}
FOREIGN = "arn:aws:bedrock:us-east-1:999999999999:guardrail/gr1"


def asked(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [SAID, *blocks]}]}


@pytest.fixture
def anna(stack: Stack) -> Iterator[Tenant]:
    """Whom every call of a test is refused: nothing was admitted, and nothing has left."""
    anna, bert = stack.tenants()
    before = len(stack.bill_records())
    yield anna
    assert stack.boto3(bert).converse(modelId=NOVA, **asked())["usage"]["inputTokens"]
    stack.wait_settled(anna, bert)
    assert len(stack.bill_records()) == before + 1
    assert stack.rows("SELECT 1 FROM tenantry.attempt WHERE tenant_id = $1", anna.id) == []


def refused(call: Any, member: str, code: str = "ValidationException", **options: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**options)
    assert caught.value.response["Error"]["Code"] == code
    assert member in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("block", "member"),
    [
        (DOCUMENT, "document.source.s3Location"),
        (IMAGE, "image.source.s3Location"),
        (RESULT, "image.source.s3Location"),
        (VIDEO, "video"),
    ],
)
def test_by_converse(stack: Stack, anna: Tenant, block: Any, member: str) -> None:
    sdk = stack.boto3(anna)
    refused(sdk.converse, member, modelId=NOVA, **asked(block))
    refused(sdk.converse_stream, member, modelId=NOVA, **asked(block))
    counted = {"converse": asked(block)}
    refused(sdk.count_tokens, member, modelId=NOVA, input=counted)


def test_by_a_native_body(stack: Stack, anna: Tenant) -> None:
    sdk = stack.boto3(anna)
    nova = json.dumps(asked(DOCUMENT))
    source = {"type": "url", "url": "s3://batches/jobs/tnt_other/a.png"}
    content = [{"type": "image", "source": source}]
    claude = json.dumps({"max_tokens": 9, "messages": [{"role": "user", "content": content}]})
    for model, body, member in (
        (NOVA, nova, "document.source.s3Location"),
        (CLAUDE, claude, "image.source.type url"),
    ):
        refused(sdk.invoke_model, member, modelId=model, body=body)
        refused(sdk.invoke_model_with_response_stream, member, modelId=model, body=body)
        counted = {"invokeModel": {"body": body}}
        refused(sdk.count_tokens, member, modelId=model, input=counted)


def test_by_what_openai_s_sdk_sends(stack: Stack, anna: Tenant) -> None:
    part = {"type": "image_url", "image_url": {"url": "s3://batches/jobs/tnt_other/a.png"}}
    with stack.openai(anna) as sdk, pytest.raises(openai.BadRequestError, match="image_url"):
        sdk.chat.completions.create(model=NOVA, messages=[{"role": "user", "content": [part]}])


def test_by_a_guardrail(stack: Stack, anna: Tenant) -> None:
    status, _, body = stack.http(
        "POST",
        "/guardrail/gr1/version/1/apply",
        {"source": "INPUT", "content": [IMAGE]},
        tenant=anna,
    )
    assert (status, b"image.source.s3Location" in body) == (400, True)


def test_by_a_reranker_s_own_fields(stack: Stack, anna: Tenant) -> None:
    arn = "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0"
    model = {"modelArn": arn, "additionalModelRequestFields": S3}
    inline = {"type": "TEXT", "textDocument": {"text": "x"}}
    refused(
        stack.boto3(anna, service="bedrock-agent-runtime").rerank,
        "s3Location",
        queries=[{"type": "TEXT", "textQuery": {"text": "x"}}],
        sources=[{"type": "INLINE", "inlineDocumentSource": inline}],
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": model},
        },
    )


def test_by_another_account_s_guardrail(stack: Stack, anna: Tenant) -> None:
    sdk, config = stack.boto3(anna), {"guardrailIdentifier": FOREIGN, "guardrailVersion": "1"}
    told = ("of another account", "AccessDeniedException")
    refused(sdk.converse, *told, modelId=NOVA, guardrailConfig=config, **asked())
    content = [{"text": {"text": "x"}}]
    refused(sdk.apply_guardrail, *told, source="INPUT", content=content, **config)


@pytest.mark.parametrize("kind", ["prompt/ABCDEFGHIJ:1", "default-prompt-router/meta.llama:1"])
def test_by_a_prompt_or_router_of_the_account(stack: Stack, anna: Tenant, kind: str) -> None:
    arn = f"arn:aws:bedrock:us-east-1:111111111111:{kind}"
    code = "ResourceNotFoundException"
    refused(stack.boto3(anna).converse, "model", code, modelId=arn, **asked())
