"""Reranking: the native bodies, the operation's body, and a small model that really compares."""

from __future__ import annotations

import pytest

from bedrock_emulator.engine import EmulatedError

AMAZON, COHERE = "amazon.rerank-v1:0", "cohere.rerank-v3-5:0"
QUESTION = "How long may a customer return a product?"
TEXTS = [
    "Our offices are closed on public holidays.",
    "Goods can be sent back within thirty days of delivery.",
    "The warranty of batteries ends after a year.",
]


def operation_body(texts=TEXTS, **members):
    sources = [
        {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}}
        for text in texts
    ]
    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": QUESTION}}],
        "sources": sources,
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": AMAZON}},
        },
        **members,
    }


def with_fields(fields):
    """A configuration with members for the model."""
    model = {"modelArn": AMAZON, "additionalModelRequestFields": fields}
    inner = {"modelConfiguration": model}
    return {"type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": inner}


def native(model=AMAZON, **members):
    version = {"api_version": 2} if model == COHERE else {}
    return {"query": QUESTION, "documents": TEXTS, **version, **members}


@pytest.mark.parametrize("model", [AMAZON, COHERE])
def test_the_document_that_answers_comes_first(models, call, model) -> None:
    answer = models.answer(call(native(model), "InvokeModel", model))
    results = answer.body["results"]
    assert results[0]["index"] == 1
    scores = [item["relevance_score"] for item in results]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0 and max(scores) <= 1
    assert answer.search_units == 1
    assert answer.usage.input == 0


def test_the_operation_says_the_same_in_its_own_words(models, call) -> None:
    body = operation_body(texts=TEXTS[:2])
    body["sources"].append(
        {
            "type": "INLINE",
            "inlineDocumentSource": {"type": "JSON", "jsonDocument": {"text": TEXTS[2]}},
        }
    )
    body["rerankingConfiguration"]["bedrockRerankingConfiguration"]["numberOfResults"] = 2
    results = models.answer(call(body, "Rerank", AMAZON)).body["results"]
    assert len(results) == 2
    assert results[0].keys() == {"index", "relevanceScore"}
    assert results[0]["index"] == 1


@pytest.mark.parametrize(
    ("documents", "units"), [(1, 1), (100, 1), (101, 2), (350, 4), (1_000, 10)]
)
def test_each_hundred_documents_begun_is_a_query(fixed, call, documents, units) -> None:
    body = native(documents=["a"] * documents)
    assert fixed.answer(call(body, "InvokeModel", AMAZON)).search_units == units


def test_a_further_page_is_a_request_that_costs_as_much(fixed, call) -> None:
    document = {"type": "TEXT", "textDocument": {"text": "a"}}
    sources = [{"type": "INLINE", "inlineDocumentSource": document}] * 1_000
    body = operation_body(sources=sources)
    first = fixed.answer(call(body, "Rerank", AMAZON))
    further = fixed.answer(call({**body, "nextToken": first.body["nextToken"]}, "Rerank", AMAZON))
    assert (first.search_units, further.search_units) == (10, 10)
    assert len(first.body["results"]) + len(further.body["results"]) == 1_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"documents": []},
        {"documents": ["a"] * 1_001},
        {"documents": [1]},
        {"documents": None},
        {"query": ""},
        {"query": 1},
        {"top_n": 0},
        {"top_n": True},
        {"nonsense": 1},
    ],
)
def test_a_wrong_body_is_refused(fixed, call, wrong) -> None:
    with pytest.raises(EmulatedError) as refused:
        fixed.prepare(call(native(**wrong), "InvokeModel", AMAZON))
    assert (refused.value.name, refused.value.status) == ("ValidationException", 400)


@pytest.mark.parametrize(
    ("operation", "model", "body"),
    [
        ("Converse", AMAZON, {"messages": []}),
        ("Rerank", "amazon.nova-lite-v1:0", operation_body()),
        ("InvokeModel", COHERE, native()),  # without a version
        ("Rerank", AMAZON, operation_body(queries=[])),
        ("Rerank", AMAZON, operation_body(queries=[{"textQuery": {"text": "a"}}])),
        ("Rerank", AMAZON, operation_body(queries=[{"type": 5, "textQuery": {"text": "a"}}])),
        ("Rerank", AMAZON, operation_body(rerankingConfiguration=with_fields([]))),
        ("Rerank", AMAZON, operation_body(sources=[{"type": "S3"}])),
        ("Rerank", AMAZON, operation_body(nextToken="x")),
        ("Rerank", AMAZON, operation_body(rerankingConfiguration={"type": "OTHER"})),
    ],
)
def test_what_a_model_cannot_do_is_refused(fixed, call, operation, model, body) -> None:
    with pytest.raises(EmulatedError) as refused:
        fixed.prepare(call(body, operation, model))
    assert refused.value.name == "ValidationException"
