"""One reservation for a query's embedding and its answer; what does not fit is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.answers import (
    ACME,
    EMBEDDED,
    OUTAGE,
    PLAN,
    WHAT,
    Shelf,
    answers,
    grounded,
    passage,
    rows,
)
from tests.support.core import CLAUDE, TITAN, plan, principal
from tests.support.scripted import (
    Core,
    Script,
    ScriptedStream,
    context,
    converse_reply,
    delta,
    message_stop,
    metadata,
    reply,
)
from tests.support.skipping import run

from tenantry.adapters.extraction.content_type import TEXT
from tenantry.adapters.extraction.splitter import chunks_of
from tenantry.application.answers import Answer, Answers
from tenantry.application.asking import Search, plain_question
from tenantry.application.knowledge import QuerySpaces
from tenantry.domain import errors
from tenantry.domain.bound import bound_of_converse
from tenantry.domain.chunk import CHUNK_CHARS_MAX, Passage
from tenantry.domain.ids import TenantId
from tenantry.domain.prompt import NOT_IN_DOCUMENTS
from tenantry.domain.space import Space
from tenantry.domain.upload import TITLE_CHARS_MAX
from tenantry.ports.admission import Refused
from tenantry.ports.manifest import Spaces


def ask(made: Answers, top_k: int = 3, who: Any = ACME) -> Answer:
    return run(made.ask(context(who), plain_question("What is a tenant?", None, top_k, None)))


def test_an_answer_is_one_reservation_of_two_calls() -> None:
    shelf = Shelf({"tnt_acme": [passage("A tenant rents."), passage("It pays.")]})
    worker, made = answers(shelf, EMBEDDED, converse_reply("It rents [1]. It pays [2] [7]."))
    answer = ask(made)
    assert [citation.number for citation in answer.citations] == [1, 2]
    assert len(worker.admission.reservations) == 1
    assert rows(worker) == [(0, 1, "settled"), (1, 1, "settled")]
    assert [(i.call, i.attempt) for i in worker.admission.begun] == [(1, 1)]
    embedding = Decimal("0.02") * 4 * 3 / 10**6
    assert answer.charge == Decimal("0.0315") + embedding
    assert answer.usage.embedding == 4


LONG = principal("acme", plan(default_model="claude", embedding_model=TITAN.id, clamp_output=True))


@pytest.mark.parametrize("streams", [False, True])
def test_an_answer_is_shortened_as_any_other_and_stays_so_with_its_passages(streams: bool) -> None:
    """What is left is left for the model, after the embedding and the passages in full."""
    shelf = Shelf({"tnt_acme": [passage("rents")]})
    written = ScriptedStream([delta("It rents [1]."), message_stop(), metadata()])
    last = written if streams else converse_reply("x")
    worker, made = answers(shelf, EMBEDDED, last)
    probe, asked = answers(shelf, EMBEDDED, converse_reply("x"))
    ask(asked, who=LONG)
    (full,) = probe.admission.reservations
    left = full.worst_charge - Decimal("0.0450")  # 1,000 tokens of 2,048 less, at 45 $ per million
    worker.admission.verdicts = [Refused("budget", "tenant month charge", budget_left=left)]

    async def walk() -> int | None:
        ctx = context(LONG)
        if not streams:
            return (await made.ask(ctx, WHAT)).max_tokens
        stream = await made.ask_stream(ctx, WHAT)
        async for _ in stream.texts:
            pass
        assert stream.result is not None
        assert stream.result.max_tokens == stream.max_tokens
        return stream.max_tokens

    assert run(walk()) == 1_048
    (reserved,) = worker.admission.reservations
    assert reserved.worst_charge == left
    assert orjson.loads(worker.model.attempts[1].body)["inferenceConfig"]["maxTokens"] == 1_048


def test_a_tenant_sees_its_own_passages_alone() -> None:
    shelf = Shelf({"tnt_acme": [passage("acme's secret")], "tnt_bolt": [passage("bolt's secret")]})
    for name, other in (("acme", "bolt"), ("bolt", "acme")):
        worker, made = answers(shelf, EMBEDDED, converse_reply())
        ask(made, who=principal(name, PLAN))
        sent = worker.model.attempts[1].body.decode()
        assert f"{name}'s secret" in sent
        assert f"{other}'s secret" not in sent


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=CHUNK_CHARS_MAX)
WIDE = st.sampled_from(["𝄞" * CHUNK_CHARS_MAX, "<passage " * 111, "x" * CHUNK_CHARS_MAX])
TITLES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@settings(max_examples=40)
@given(st.lists(st.builds(passage, TEXTS | WIDE, TITLES), max_size=5), st.integers(1, 5))
def test_what_leaves_is_never_more_than_was_reserved(found: list[Passage], top_k: int) -> None:
    worker, made = answers(Shelf({"tnt_acme": found}), EMBEDDED, converse_reply("no citation"))
    ask(made, top_k)
    (reserved,) = worker.admission.reservations
    embedding, chat = (orjson.loads(attempt.body) for attempt in worker.model.attempts)
    of_query = len(orjson.dumps(embedding))
    limit = chat["inferenceConfig"]["maxTokens"]
    assert bound_of_converse(chat, CLAUDE).tokens + limit + of_query <= reserved.worst_tokens


@pytest.mark.parametrize("sign", ["\u88fd", '"', "x", "\U0001e922"])
def test_a_chunk_of_any_script_has_its_place_whatever_its_document_is_called(sign: str) -> None:
    (chunk, *_) = chunks_of(sign * 2 * CHUNK_CHARS_MAX, TEXT)
    shelf = Shelf({"tnt_acme": [passage(chunk.text, title=sign * TITLE_CHARS_MAX)]})
    _, made = answers(shelf, EMBEDDED, converse_reply("So it is [1]."))
    assert [c.text for c in ask(made, top_k=1).citations] == [chunk.text]


def test_passages_that_do_not_fit_are_left_out_from_the_worst_on() -> None:
    wide = "𝄞" * CHUNK_CHARS_MAX  # four bytes a character; three are reserved
    found = [passage("best " + wide[:-5]), passage("good " + wide[:-5]), passage("last")]
    worker, made = answers(Shelf({"tnt_acme": found}), EMBEDDED, converse_reply("[1] [2] [3]"))
    answer = ask(made, top_k=3)
    sent = worker.model.attempts[1].body.decode()
    assert "best" in sent
    assert [c.number for c in answer.citations] == list(range(1, len(answer.citations) + 1))
    assert len(answer.citations) == sent.count("</passage>")


def test_without_documents_nothing_is_embedded_and_the_call_is_released() -> None:
    worker, made = answers(Shelf(), converse_reply(NOT_IN_DOCUMENTS))
    answer = ask(made)
    assert rows(worker) == [(0, 1, "released"), (1, 1, "settled")]
    assert answer.charge == Decimal("0.0315")
    assert answer.citations == []


@pytest.mark.parametrize(
    ("shelf", "script", "told", "left"),
    [
        (Shelf({"tnt_acme": []}, no_key=OUTAGE), [], errors.Unavailable, [(0, 1, "released")]),
        (Shelf({"tnt_acme": []}, OUTAGE), [EMBEDDED], errors.Unavailable, [(0, 1, "settled")]),
        (
            Shelf({"tnt_acme": []}, no_key=RuntimeError("ours")),
            [],
            RuntimeError,
            [(0, 1, "released")],
        ),
        (
            Shelf({"tnt_acme": []}),
            [EMBEDDED, reply({"output": {}, "usage": {"inputTokens": 1, "outputTokens": 1}})],
            errors.UpstreamRubbish,
            [(0, 1, "settled"), (1, 1, "settled")],
        ),
    ],
)
def test_whatever_ends_it_all_is_settled(
    shelf: Shelf, script: list[Script], told: type[Exception], left: list[tuple[int, int, str]]
) -> None:
    worker, made = answers(shelf, *script)
    with pytest.raises(told):
        ask(made)
    assert rows(worker) == left
    assert not any(o.charged for o in worker.admission.outcomes if o.end == "settled")


def test_what_no_search_can_do_is_refused_before_anything_is_asked_or_reserved() -> None:
    """Documents in another engine; words that are asked for where none are read."""
    hybrid = replace(WHAT, search=Search("What is a tenant?", 3, by_words=True))
    for shelf, asked, told, words in (
        (Shelf(live=Space(TITAN.id, 512), engine="pgvector/"), WHAT, errors.Conflict, "rest in"),
        (Shelf(reads_words=False), hybrid, errors.BadRequest, "HYBRID"),
    ):
        worker, made = answers(shelf)
        with pytest.raises(told, match=words):
            run(made.ask(context(ACME), asked))
        assert (worker.admission.reservations, worker.model.attempts) == ([], [])
    for shelf, asked in (
        (Shelf({"tnt_acme": []}, reads_words=False), WHAT),
        (Shelf({"tnt_acme": []}), hybrid),
    ):
        _, made = answers(shelf, EMBEDDED, converse_reply("No."))
        assert run(made.ask(context(ACME), asked)).answer == "No."


def test_a_reindex_that_ends_meanwhile_is_followed_within_the_same_reservation() -> None:
    """The query is embedded once more, in a call that was reserved for that."""
    small = Space(TITAN.id, 256)
    shelf = Shelf({"tnt_acme": [passage("A tenant rents.")]}, live=Space(TITAN.id, 512), next=small)
    again = reply({"embedding": [1.0] * 256, "inputTextTokenCount": 4})
    worker, made = answers(shelf, EMBEDDED, again, converse_reply("It rents [1]."))
    assert ask(made).answer == "It rents [1]."
    assert rows(worker) == [(0, 1, "settled"), (2, 1, "settled"), (1, 1, "settled")]
    assert len(worker.admission.reservations) == 1
    asked = [orjson.loads(request.body)["dimensions"] for request in worker.model.attempts[:2]]
    assert asked == [512, 256]
    quiet = Shelf({"tnt_acme": []}, live=Space(TITAN.id, 512))
    other, made = answers(quiet, EMBEDDED, converse_reply("x"))
    ask(made)
    more, less = worker.admission.reservations[0], other.admission.reservations[0]
    assert more.worst_charge > less.worst_charge


@pytest.mark.parametrize("other", ["unpriced.embed", "unknown.embed", CLAUDE.id])
def test_a_reindex_whose_model_cannot_be_called_leaves_what_is_searched_alone(other: str) -> None:
    class Reindexed(Shelf):
        async def search(self, *_: object) -> Sequence[Passage]:
            return [passage("A tenant is a customer.")]

    shelf = Reindexed({"tnt_acme": []}, live=Space(TITAN.id, 512), next=Space(other, 512))
    worker, made = answers(shelf, EMBEDDED, converse_reply("x"))
    models = [TITAN, CLAUDE, replace(TITAN, id="unpriced.embed", price_key="unpriced.embed")]
    worker.directory.found = type(worker.directory.found)(models)
    assert ask(made).answer == "x"
    assert rows(worker) == [(0, 1, "settled"), (1, 1, "settled")]


def test_a_plan_that_stops_allowing_the_next_model_meanwhile_refuses_no_search() -> None:
    worker, made = grounded(Shelf())
    asked, known, unknown = Search("x", 5), Space(TITAN.id, 512), Space("unknown.embed", 512)
    catalogue = worker.directory.found
    planned = made._finder.plan(ACME, catalogue, asked, QuerySpaces(1, known, unknown))
    assert (len(planned.calls), planned.spare) == (1, None)
    with pytest.raises(errors.NotFound):
        made._finder.plan(ACME, catalogue, asked, QuerySpaces(1, unknown, None))


def test_documents_that_move_while_nobody_said_so_are_asked_for_again() -> None:
    class Moving(Shelf):
        async def spaces(self, tenant_id: TenantId) -> Spaces:
            found = await super().spaces(tenant_id)
            return found if self.looks == 1 else Spaces(2, Space(TITAN.id, 256), pin=TITAN.id)

    moved = errors.Conflict("the documents were indexed with another embedding model")
    shelf = Moving({"tnt_acme": []}, trouble=moved, live=Space(TITAN.id, 512))
    worker, made = answers(shelf, EMBEDDED)
    with pytest.raises(errors.Unavailable, match="reindexed"):
        ask(made)
    assert rows(worker) == [(0, 1, "settled")]


def test_a_client_that_leaves_cancels_nothing() -> None:
    async def walk() -> Core:
        arrived, answered = asyncio.Event(), asyncio.Event()

        async def slow(_: Any) -> Any:
            arrived.set()
            await answered.wait()
            return converse_reply()

        worker, made = answers(Shelf({"tnt_acme": []}), EMBEDDED, slow)
        client = asyncio.create_task(made.ask(context(ACME), WHAT))
        await arrived.wait()
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        answered.set()
        await worker.tasks.drain(60_000)
        return worker

    assert rows(run(walk())) == [(0, 1, "settled"), (1, 1, "settled")]
