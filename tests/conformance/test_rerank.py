"""What a gateway builds upon in Bedrock's reranking: results, their order, no usage."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

AMAZON, COHERE = "amazon.rerank-v1:0", "cohere.rerank-v3-5:0"
QUESTION = "trains to Oslo"
TEXTS = ["apples and pears", "trains to Oslo leave at nine", "bread"]


def operation(arn, sources, most=None):
    configuration = {"modelConfiguration": {"modelArn": arn}}
    if most is not None:
        configuration["numberOfResults"] = most
    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": QUESTION}}],
        "sources": [{"type": "INLINE", "inlineDocumentSource": source} for source in sources],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": configuration,
        },
    }


def text(value):
    return {"type": "TEXT", "textDocument": {"text": value}}


def check(results, count, score):
    assert len(results) == count
    assert results[0]["index"] == 1
    scores = [one[score] for one in results]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0 and max(scores) <= 1


@pytest.mark.parametrize("model", [AMAZON, COHERE])
def test_the_operation_takes_texts_and_json(target, model):
    arn = f"arn:aws:bedrock:{target.region}::foundation-model/{model}"
    agent = target.client("bedrock-agent-runtime")
    given = [*map(text, TEXTS[:2]), {"type": "JSON", "jsonDocument": {"title": TEXTS[2]}}]
    check(agent.rerank(**operation(arn, given))["results"], 3, "relevanceScore")
    check(agent.rerank(**operation(arn, given, 1))["results"], 1, "relevanceScore")


@pytest.mark.parametrize(("model", "version"), [(AMAZON, {}), (COHERE, {"api_version": 2})])
def test_invoke_model_reports_no_usage(target, model, version):
    body = {"query": QUESTION, "documents": TEXTS, "top_n": 2, **version}
    answer = target.client("bedrock-runtime").invoke_model(modelId=model, body=json.dumps(body))
    document = json.loads(answer["body"].read())
    check(document["results"], 2, "relevance_score")
    assert "usage" not in document


def test_a_model_that_does_not_rerank_is_refused(target):
    arn = f"arn:aws:bedrock:{target.region}::foundation-model/amazon.nova-lite-v1:0"
    with pytest.raises(ClientError) as refused:
        target.client("bedrock-agent-runtime").rerank(**operation(arn, [text("a")]))
    assert refused.value.response["Error"]["Code"] == "ValidationException"
