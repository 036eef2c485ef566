"""Unmodified boto3 reranks: InvokeModel of bedrock-runtime, Rerank of bedrock-agent-runtime."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

MODEL = "amazon.rerank-v1:0"
ARN = f"arn:aws:bedrock:us-east-1::foundation-model/{MODEL}"
TEXTS = ["apples and pears", "trains to Oslo", "trains"]


def request(texts=TEXTS, arn=ARN, query="trains to Oslo"):
    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": query}}],
        "sources": [
            {
                "type": "INLINE",
                "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}},
            }
            for text in texts
        ],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": arn}},
        },
    }


def billed(emulator, response):
    request_id = response["ResponseMetadata"]["RequestId"]
    records = emulator.bill(emulator.pool.id)["records"]
    [record] = [r for r in records if r["request_id"] == request_id]
    return record


def test_rerank_is_billed_by_the_query_and_never_logged(emulator):
    response = emulator.client("bedrock-agent-runtime").rerank(**request(TEXTS * 40))
    assert [item["index"] for item in response["results"]][:2] == [1, 4]
    assert response["results"][0]["relevanceScore"] == pytest.approx(1.0)
    record = billed(emulator, response)
    assert (record["operation"], record["model"], record["search_units"]) == ("Rerank", MODEL, 2)
    assert set(record["usage"].values()) == {0}
    logged = {line["requestId"] for line in emulator.logged(emulator.pool)}
    assert record["request_id"] not in logged


def test_invoke_model_is_billed_and_logged(emulator):
    body = {"query": "trains", "documents": TEXTS, "top_n": 1}
    response = emulator.client().invoke_model(
        modelId=MODEL, body=json.dumps(body), requestMetadata='{"tid": "t-rerank"}'
    )
    assert json.loads(response["body"].read()) == {"results": [{"index": 1, "relevance_score": 1}]}
    record = billed(emulator, response)
    assert (record["search_units"], record["request_metadata"]) == (1, {"tid": "t-rerank"})
    assert record["request_id"] in {line["requestId"] for line in emulator.logged(emulator.pool)}


def test_a_model_that_is_not_there_is_refused(emulator):
    with pytest.raises(ClientError) as refused:
        emulator.client("bedrock-agent-runtime").rerank(**request(arn="nobody.knows-v1:0"))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_throttled_rerank_is_not_billed(emulator):
    emulator.rules({"match": {"operation": "Rerank"}, "action": {"kind": "throttle"}})
    before = emulator.bill(emulator.pool.id)["totals"]
    with pytest.raises(ClientError) as refused:
        emulator.client("bedrock-agent-runtime").rerank(**request())
    assert refused.value.response["Error"]["Code"] == "ThrottlingException"
    assert emulator.bill(emulator.pool.id)["totals"] == before
