"""Unmodified boto3 `bedrock-agent-runtime` against the edge: shapes, citations, pages, streams."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError, EventStreamError
from tests.support.http_edge import Edge
from tests.support.http_plain import post_json
from tests.support.http_refusals import BRIEFLY, DEFAULT_ATTEMPTS, ONCE, name_of

from tenantry.application.answers import Answer
from tenantry.application.asking import Search
from tenantry.application.library import Found
from tenantry.domain.chunk import Passage
from tenantry.domain.errors import TenantryError
from tenantry.domain.eventstream import Decoder
from tenantry.domain.ids import DocumentId, TenantId
from tenantry.domain.knowledge_base import knowledge_base_of
from tenantry.domain.usage import NO_USAGE
from tenantry.entrypoints.http.bedrock_agent import paging

BASE = knowledge_base_of(TenantId("tnt_acme"))
ARN = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0"
RERANK = "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"
PASSAGES = [
    Passage(DocumentId("doc_1"), "One", "first", 0.9, 0, 5, {"tags": ("a", "b"), "year": 2026}),
    Passage(DocumentId("doc_2"), "Two", "second", 0.8, 7, 13, {"x-tenantry-title": "forged"}),
]


@pytest.fixture
def client(edge: Edge) -> Any:
    return edge.boto3(service="bedrock-agent-runtime")


@pytest.fixture(autouse=True)
def unsteered(edge: Edge) -> Iterator[None]:
    """What a test makes the edge say is gone with it."""
    yield
    vars(edge.services.answers).pop("answer", None)
    vars(edge.services.library).pop("find", None)
    vars(edge.services.reranker).pop("rerank", None)


def says(edge: Edge, text: str, stop_reason: str = "end_turn") -> None:
    async def answer(ctx: Any, *_: object) -> Answer:
        charge = Decimal("0.0315")
        return Answer(
            text, [], NO_USAGE, charge, "USD", ctx.request_id, None, PASSAGES, stop_reason
        )

    edge.services.answers.answer = answer  # type: ignore[method-assign]


def finds(edge: Edge, passages: list[Passage]) -> list[Search]:
    asked: list[Search] = []

    async def find(ctx: Any, search: Search) -> Found:
        asked.append(search)
        return Found(passages[: search.top_k], Decimal("0.00001"), "USD")

    edge.services.library.find = find  # type: ignore[method-assign]
    return asked


def question(**members: Any) -> dict[str, Any]:
    inner = {"knowledgeBaseId": BASE, "modelArn": ARN, **members}
    outer = {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": inner}
    return {"input": {"text": "Which?"}, "retrieveAndGenerateConfiguration": outer}


def test_a_result_has_content_location_score_and_metadata(edge: Edge, client: Any) -> None:
    asked = finds(edge, PASSAGES)
    answer = client.retrieve(
        knowledgeBaseId=BASE,
        retrievalQuery={"text": "first"},
        retrievalConfiguration={
            "vectorSearchConfiguration": {
                "numberOfResults": 100,
                "overrideSearchType": "SEMANTIC",
                "filter": {"equals": {"key": "year", "value": 2026}},
                "rerankingConfiguration": {
                    "type": "BEDROCK_RERANKING_MODEL",
                    "bedrockRerankingConfiguration": {
                        "modelConfiguration": {
                            "modelArn": RERANK,
                            "additionalModelRequestFields": {"a": 1},
                        },
                        "numberOfRerankedResults": 2,
                        "metadataConfiguration": {
                            "selectionMode": "SELECTIVE",
                            "selectiveModeConfiguration": {
                                "fieldsToExclude": [{"fieldName": "year"}]
                            },
                        },
                    },
                },
            }
        },
    )
    assert answer["retrievalResults"][0] == {
        "content": {"type": "TEXT", "text": "first"},
        "location": {"type": "CUSTOM", "customDocumentLocation": {"id": "doc_1"}},
        "documentId": "doc_1",
        "score": 0.9,
        "metadata": {
            "tags": ["a", "b"],
            "year": 2026,
            "x-tenantry-document-id": "doc_1",
            "x-tenantry-title": "One",
            "x-tenantry-start": 0,
            "x-tenantry-end": 5,
        },
    }
    assert answer["retrievalResults"][1]["metadata"]["x-tenantry-title"] == "Two"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"] == "0.00001 USD"
    [search] = asked
    assert (search.top_k, search.most, search.by_words) == (100, 100, False)
    assert search.reranking is not None and search.reranking.metadata is not None
    assert (search.reranking.model, search.reranking.keep) == (RERANK, 2)
    assert search.reranking.fields == {"a": 1}
    assert search.reranking.metadata.exclude == {"year"}


def test_results_that_do_not_fit_come_page_by_page(
    edge: Edge, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES_MAX", 1_000)
    passages = [Passage(DocumentId(f"doc_{n}"), "T", str(n) * 300, 0.5, 0, 300) for n in range(5)]
    finds(edge, passages)
    pages = list(
        client.get_paginator("retrieve").paginate(
            knowledgeBaseId=BASE, retrievalQuery={"text": "a"}
        )
    )
    assert len(pages) == 5
    found = [one["documentId"] for page in pages for one in page["retrievalResults"]]
    assert found == [f"doc_{n}" for n in range(5)]
    token = pages[0]["nextToken"]
    for wrong in (token[:-4] + "AAAA", "A" * len(token), "no-token"):
        with pytest.raises(ClientError, match="nextToken"):
            client.retrieve(knowledgeBaseId=BASE, retrievalQuery={"text": "a"}, nextToken=wrong)
    with pytest.raises(ClientError, match="nextToken"):
        client.retrieve(knowledgeBaseId=BASE, retrievalQuery={"text": "b"}, nextToken=token)


def test_citations_stand_beside_the_text(edge: Edge, client: Any) -> None:
    says(edge, "Grüße are first. [1] The second [2], [1].")
    answer = client.retrieve_and_generate(**question())
    text = answer["output"]["text"]
    assert text == "Grüße are first. The second,."
    assert answer["sessionId"] == "ses_1"
    parts = []
    for citation in answer["citations"]:
        part = citation["generatedResponsePart"]["textResponsePart"]
        span = part["span"]
        assert text[span["start"] : span["end"] + 1] == part["text"]
        found = [
            one["location"]["customDocumentLocation"]["id"]
            for one in citation["retrievedReferences"]
        ]
        parts.append((part["text"], found))
    assert parts[0] == ("Grüße are first.", ["doc_1"])
    assert parts[1] == ("The second", ["doc_2", "doc_1"])
    assert answer["citations"][0]["retrievedReferences"][0]["metadata"]["year"] == 2026
    assert "guardrailAction" not in answer


@pytest.mark.parametrize(
    ("reason", "guarded", "action"),
    [
        ("end_turn", True, "NONE"),
        ("guardrail_intervened", True, "INTERVENED"),
        ("guardrail_intervened", False, "INTERVENED"),
        ("end_turn", False, None),
    ],
)
def test_what_a_guardrail_did(
    edge: Edge, client: Any, reason: str, guarded: bool, action: str | None
) -> None:
    says(edge, "Sorry.", reason)
    guardrail = {"guardrailConfiguration": {"guardrailId": "gr1", "guardrailVersion": "1"}}
    members = {"generationConfiguration": guardrail} if guarded else {}
    assert client.retrieve_and_generate(**question(**members)).get("guardrailAction") == action
    events = list(client.retrieve_and_generate_stream(**question(**members))["stream"])
    told = [event["guardrail"]["action"] for event in events if "guardrail" in event]
    assert told == ([] if action is None else [action])


def test_a_stream_gives_each_citation_after_its_part(edge: Edge, client: Any) -> None:
    says(edge, "It is first [1]. It is second [2].")
    answer = client.retrieve_and_generate_stream(**question())
    assert answer["sessionId"] == "ses_1"
    events = list(answer["stream"])
    text = "".join(event["output"]["text"] for event in events if "output" in event)
    whole = client.retrieve_and_generate(**question())
    assert text.strip() == whole["output"]["text"]
    citations = [event["citation"] for event in events if "citation" in event]
    assert [one["citation"] for one in citations] == whole["citations"]
    for one in citations:
        assert one["generatedResponsePart"] == one["citation"]["generatedResponsePart"]
    first = next(n for n, event in enumerate(events) if "citation" in event)
    assert "".join(e["output"]["text"] for e in events[:first]).startswith("It is first")


def test_the_last_frame_of_a_stream_has_the_charge(edge: Edge) -> None:
    says(edge, "It is first [1].")
    status, headers, body = post_json(edge, "/retrieveAndGenerateStream", question(), key="tk_acme")
    assert status == 200
    assert headers["x-amzn-bedrock-knowledge-base-session-id"] == "ses_1"
    charges = [f.headers.get("x-tenantry-charge") for f in Decoder().feed(body)]
    assert charges == [None] * (len(charges) - 1) + ["0.0315 USD"]


def test_a_stream_that_breaks_ends_in_a_modelled_exception(edge: Edge, client: Any) -> None:
    edge.services.answers.breaks = True
    try:
        with pytest.raises(EventStreamError) as error:
            list(client.retrieve_and_generate_stream(**question())["stream"])
    finally:
        edge.services.answers.breaks = False
    assert error.value.response["Error"]["Code"] == "dependencyFailedException"


RERANKED = {
    "queries": [{"type": "TEXT", "textQuery": {"text": "q"}}],
    "sources": [
        {"type": "INLINE", "inlineDocumentSource": {"type": "JSON", "jsonDocument": {"a": 1}}}
    ],
    "rerankingConfiguration": {
        "type": "BEDROCK_RERANKING_MODEL",
        "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": RERANK}},
    },
}


def refuses(edge: Edge, refusal: TenantryError) -> None:
    async def refuse(*_: object) -> Any:
        raise refusal

    edge.services.answers.answer = refuse  # type: ignore[method-assign]
    edge.services.library.find = refuse  # type: ignore[method-assign]
    edge.services.reranker.rerank = refuse  # type: ignore[method-assign]


@pytest.mark.parametrize(("refusal", "code"), [*ONCE, *BRIEFLY], ids=name_of)
def test_how_often_a_refused_call_is_sent(
    edge: Edge, client: Any, refusal: TenantryError, code: str
) -> None:
    refuses(edge, refusal)
    again = (refusal, code) in BRIEFLY
    calls = (
        lambda: client.retrieve(knowledgeBaseId=BASE, retrievalQuery={"text": "a"}),
        lambda: client.retrieve_and_generate(**question()),
        lambda: client.retrieve_and_generate_stream(**question()),
        lambda: client.rerank(**RERANKED),
    )
    for call in calls[-1:] if again else calls:  # boto3 waits between its attempts
        edge.requests.clear()
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] == code
        assert len(edge.requests) == (DEFAULT_ATTEMPTS if again else 1)


def test_rerank(edge: Edge, client: Any) -> None:
    document = {"type": "JSON", "jsonDocument": {"a": [1, None, "x"]}}
    answer = client.rerank(
        queries=[{"type": "TEXT", "textQuery": {"text": "q"}}],
        sources=[{"type": "INLINE", "inlineDocumentSource": document}] * 3,
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {
                "modelConfiguration": {"modelArn": RERANK},
                "numberOfResults": 2,
            },
        },
    )
    assert [one["index"] for one in answer["results"]] == [2, 1]
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-charge"] == "0.003 USD"


def test_the_user_of_the_body_and_of_the_header(edge: Edge) -> None:
    seen: list[Any] = []

    async def find(ctx: Any, search: Search) -> Found:
        seen.append(ctx.user)
        return Found([], Decimal(0), "USD")

    edge.services.library.find = find  # type: ignore[method-assign]
    body = {"retrievalQuery": {"text": "a"}, "userContext": {"userId": " ada "}}
    for headers in ({}, {"x-tenantry-user": "bob"}):
        reply = post_json(
            edge, f"/knowledgebases/{BASE}/retrieve", body, key="tk_acme", headers=headers
        )
        assert orjson.loads(reply[2]) == {"retrievalResults": []}
        assert "x-tenantry-charge" not in reply[1]
    assert seen == ["ada", "bob"]


def test_an_operation_that_is_not_served_is_refused_as_bedrock_does(client: Any) -> None:
    for call in (
        lambda: client.create_session(),
        lambda: client.invoke_agent(
            agentId="A" * 10, agentAliasId="B" * 10, sessionId="session", inputText="hi"
        ),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        error = caught.value.response["Error"]
        assert (error["Code"], bool(error["Message"])) == ("UnknownOperationException", True)
