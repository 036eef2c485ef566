"""Reranking is metered by its documents alone, by itself and as a call of a larger request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.support.answers import Shelf, answers, passage, rows
from tests.support.core import CLAUDE, RERANK, TITAN, plan, principal
from tests.support.scripted import Core, context, converse_reply, core, reply, throttled
from tests.support.skipping import run

from tenantry.application.asking import Question, Search, plain_question
from tenantry.application.reranking import RerankCall, Reranker
from tenantry.domain import errors
from tenantry.domain.rerank import MetadataChoice, Reranking, text_source
from tenantry.ports.model import Operation

PLAN = plan(default_model="claude", embedding_model=TITAN.id, max_tokens_default=100)
ACME = principal("acme", PLAN)
EMBEDDED = reply({"embedding": [1.0] * 512, "inputTextTokenCount": 4})
CHARGE = Decimal("0.006")  # a query at 2,000 $ for a million, three times


def ranked(*scores: tuple[int, Any], **more: Any) -> Any:
    return reply({"results": [{"index": i, "relevanceScore": s} for i, s in scores], **more})


def alone(*script: Any) -> tuple[Core, Reranker]:
    worker = core(*script)
    return worker, Reranker(worker.gate, worker.planning, worker.model, worker.tasks)


def call(count: int = 3, model: str = RERANK.id, **more: Any) -> RerankCall:
    return RerankCall(model, "why?", [text_source(f"text {n}") for n in range(count)], **more)


@pytest.mark.parametrize(("count", "units"), [(1, 1), (100, 1), (101, 2), (1_000, 10)])
def test_each_hundred_documents_begun_is_a_query(count: int, units: int) -> None:
    worker, made = alone(ranked((0, 0.5)))
    done = run(made.rerank(context(ACME), call(count)))
    assert done.charge == CHARGE * units
    [reservation] = worker.admission.reservations
    assert reservation.worst_charge == done.charge, "what is reserved is what it costs"
    assert reservation.worst_tokens == 0
    [outcome] = worker.admission.outcomes
    assert dict(outcome.usage.items()) == {"rerank_units": units}


def test_what_leaves() -> None:
    worker, made = alone(ranked((1, 0.5), nextToken="more"))
    fields = {"truncate": True}
    done = run(made.rerank(context(ACME), call(2, most=1, fields=fields, token="page")))
    assert (done.page.results[0].index, done.page.next_token) == (1, "more")
    [attempt] = worker.model.attempts
    assert attempt.operation is Operation.RERANK
    assert orjson.loads(attempt.body) == {
        "nextToken": "page",
        "queries": [{"type": "TEXT", "textQuery": {"text": "why?"}}],
        "sources": [text_source("text 0"), text_source("text 1")],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {
                "modelConfiguration": {
                    "modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{RERANK.id}",
                    "additionalModelRequestFields": fields,
                },
                "numberOfResults": 1,
            },
        },
    }


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"results": [{"index": 0}]},
        {"results": [{"index": 3, "relevanceScore": 0.5}]},
        {"results": [{"index": -1, "relevanceScore": 0.5}]},
        {"results": [{"index": True, "relevanceScore": 0.5}]},
        {"results": [{"index": 0, "relevanceScore": "high"}]},
        {"results": [{"index": 0, "relevanceScore": 0.5}] * 2},
        {"results": [], "nextToken": 5},
    ],
)
def test_rubbish_is_our_waste(document: Any) -> None:
    worker, made = alone(reply(document))
    with pytest.raises(errors.UpstreamRubbish):
        run(made.rerank(context(ACME), call()))
    [outcome] = worker.admission.outcomes
    assert (outcome.end, outcome.charged) == ("settled", False)


def test_a_throttled_query_is_tried_again_and_paid_once() -> None:
    worker, made = alone(throttled(), throttled(), ranked((0, 0.5)))
    assert run(made.rerank(context(ACME), call())).charge == CHARGE
    assert rows(worker) == [(0, 1, "released"), (0, 2, "released"), (0, 3, "settled")]


@pytest.mark.parametrize(
    ("model", "kind"),
    [(CLAUDE.id, errors.BadRequest), ("no.such-v1:0", errors.NotFound)],
)
def test_a_model_that_does_not_rerank(model: str, kind: type[Exception]) -> None:
    worker, made = alone()
    with pytest.raises(kind):
        run(made.rerank(context(ACME), call(model=model)))
    assert worker.admission.reservations == []


def asked(top_k: int = 3, **reranking: Any) -> Question:
    question = plain_question("What is a tenant?", None, top_k, None)
    return replace(
        question, search=replace(question.search, reranking=Reranking(RERANK.id, **reranking))
    )


def said(worker: Core) -> str:
    body = orjson.loads(worker.model.attempts[-1].body)
    text: str = body["messages"][0]["content"][0]["text"]
    return text


def test_an_answer_from_reranked_passages_is_one_reservation_of_three_calls() -> None:
    texts = [passage("first"), passage("second"), passage("third")]
    worker, made = answers(
        Shelf({"tnt_acme": texts}),
        EMBEDDED,
        ranked((2, 0.9), (0, 0.4)),
        converse_reply("It rents [1]."),
    )
    answer = run(made.ask(context(ACME), asked(keep=2)))
    assert [one.text for one in answer.passages] == ["third", "first"]
    assert [one.score for one in answer.passages] == [0.9, 0.4]
    assert answer.citations[0].text == "third"
    assert "second" not in said(worker)
    assert rows(worker) == [(0, 1, "settled"), (1, 1, "settled"), (2, 1, "settled")]
    assert [(i.call, i.operation) for i in worker.admission.begun] == [
        (1, "Rerank"),
        (2, "Converse"),
    ]
    embedding = Decimal("0.02") * 4 * 3 / 10**6
    assert answer.charge == Decimal("0.0315") + CHARGE + embedding
    assert len(worker.admission.reservations) == 1


def test_nothing_found_is_not_reranked() -> None:
    worker, made = answers(Shelf({"tnt_acme": []}), EMBEDDED, converse_reply("No."))
    run(made.ask(context(ACME), asked()))
    assert rows(worker) == [(0, 1, "settled"), (2, 1, "settled")]


@pytest.mark.parametrize(
    ("choice", "document"),
    [
        (None, None),
        (MetadataChoice(), {"lang": "en", "year": 2026, "tags": ["a"]}),
        (MetadataChoice(include=frozenset({"lang", "other"})), {"lang": "en"}),
        (MetadataChoice(exclude=frozenset({"lang"})), {"year": 2026, "tags": ["a"]}),
        (MetadataChoice(include=frozenset({"other"})), None),
    ],
)
def test_the_metadata_that_a_reranker_reads(choice: Any, document: Any) -> None:
    known = replace(passage("text"), metadata={"lang": "en", "year": 2026, "tags": ("a",)})
    worker, made = answers(
        Shelf({"tnt_acme": [known]}), EMBEDDED, ranked((0, 1.0)), converse_reply("Yes.")
    )
    run(made.ask(context(ACME), asked(metadata=choice)))
    [source] = orjson.loads(worker.model.attempts[1].body)["sources"]
    inline = source["inlineDocumentSource"]
    if document is None:
        assert inline == {"type": "TEXT", "textDocument": {"text": "text"}}
    else:
        assert inline["jsonDocument"] == {"text": "text", "metadata": document}


def test_a_search_by_meaning_alone_gives_no_words() -> None:
    queries: list[Any] = []

    class Noting(Shelf):
        async def search(self, home: Any, model: str, vector: Any, *rest: Any) -> Sequence[Any]:
            queries.append(vector)
            return ()

    for by_words in (True, False):
        _, made = answers(Noting({"tnt_acme": []}), EMBEDDED, converse_reply("No."))
        search = Search("what?", 3, by_words=by_words)
        question = replace(plain_question("what?", None, 3, None), search=search)
        run(made.ask(context(ACME), question))
    assert [query.text for query in queries] == ["what?", ""]
