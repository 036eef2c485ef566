"""What tests of knowledge bases share: documents of two tenants, clients, requests."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support.stack import Stack, Tenant

from tenantry.domain.knowledge_base import knowledge_base_of

NOVA_ARN = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0"
RERANK_ARN = "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"
COHERE_ARN = "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0"
TEXTS = {
    "Returns": ("Goods can be sent back within thirty days.", {"year": 2026, "lang": "en"}, []),
    "Pay": ("Salaries are paid on the last day of a month.", {"year": 2025, "lang": "en"}, ["hr"]),
    "Trains": ("trains to Oslo leave at nine", {"year": 2024, "tags": ["a", "b"]}, []),
}
both_ways = pytest.mark.parametrize("how", ["sigv4", "bearer"])


def with_documents(stack: Stack) -> tuple[Tenant, Tenant]:
    """Two tenants; the second's documents say whose they are."""
    anna, bert = stack.tenants()
    for tenant, suffix in ((anna, ""), (bert, " of Bert")):
        for title, (text, metadata, access) in TEXTS.items():
            body = {"title": title, "text": text + suffix, "metadata": metadata, "access": access}
            status, _, answer = stack.http("POST", "/v1/documents", body, tenant=tenant)
            assert status == 201, answer
    return anna, bert


def agent(stack: Stack, tenant: Tenant, how: Any = "sigv4", **config: Any) -> Any:
    return stack.boto3(tenant, how, "bedrock-agent-runtime", **config)


def retrieve(client: Any, tenant: Tenant, text: str = "trains to Oslo", **search: Any) -> Any:
    configuration = {"retrievalConfiguration": {"vectorSearchConfiguration": search}}
    return client.retrieve(
        knowledgeBaseId=knowledge_base_of(tenant.id),
        retrievalQuery={"text": text},
        **(configuration if search else {}),
    )


def titles(answer: Any) -> set[str]:
    return {one["metadata"]["x-tenantry-title"] for one in answer["retrievalResults"]}


def charge_of(answer: Any) -> str:
    return str(answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"])


def asked(tenant: Tenant, text: str = "What goes to Oslo?", **base: Any) -> dict[str, Any]:
    configuration = {
        "knowledgeBaseId": knowledge_base_of(tenant.id),
        "modelArn": NOVA_ARN,
        **base,
    }
    return {
        "input": {"text": text},
        "retrieveAndGenerateConfiguration": {
            "type": "KNOWLEDGE_BASE",
            "knowledgeBaseConfiguration": configuration,
        },
    }


def reranked(texts: list[Any], query: str = "trains to Oslo", arn: str = RERANK_ARN) -> Any:
    def source(value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            return {"type": "TEXT", "textDocument": {"text": value}}
        return {"type": "JSON", "jsonDocument": value}

    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": query}}],
        "sources": [{"type": "INLINE", "inlineDocumentSource": source(value)} for value in texts],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": arn}},
        },
    }


def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    assert response["Error"]["Message"]
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]
