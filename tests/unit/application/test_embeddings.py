"""A batch of texts: one reservation, a call for each, none paid for in vain."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest
from tests.support.core import TITAN, plan, principal
from tests.support.scripted import Core, context, core, reply, throttled
from tests.support.skipping import run

from bedrock_emulator.engine.catalogue import catalogue as emulated
from bedrock_emulator.engine.embeddings import read_embedding
from tenantry.application.calls import Embedded
from tenantry.application.embeddings import PARALLEL_CALLS_MAX, TEXTS_MAX, Purpose
from tenantry.application.retrieval import QUERY_CHARS_MAX
from tenantry.domain import errors
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.space import Space
from tenantry.domain.vector_lengths import vector_lengths
from tenantry.ports.admission import UNDELIVERED
from tenantry.ports.model import Attempt, Failure, FailureKind

ACME = principal("acme")


def vector_of(text: str, length: int = 512) -> list[float]:
    return [float(len(text))] + [1.0] * (length - 1)


async def embedding(attempt: Attempt) -> Any:
    text = orjson.loads(attempt.body)["inputText"]
    await asyncio.sleep(len(text) % 7 / 10)  # they end in another order than they began
    return reply({"embedding": vector_of(text), "inputTextTokenCount": 3})


def embed(worker: Core, texts: list[str], **more: Any) -> Embedded:
    return run(worker.embeddings.embed(context(ACME), TITAN.id, texts, 512, **more))


def test_vectors_come_in_the_order_of_their_texts() -> None:
    texts = ["x" * number for number in range(1, 40)]
    worker = core(*[embedding] * len(texts))
    done = embed(worker, texts)
    assert list(done.vectors) == [vector_of(text) for text in texts]
    assert done.usage.embedding == 3 * len(texts)
    assert len(worker.admission.reservations) == 1
    assert sorted(o.call for o in worker.admission.outcomes) == list(range(len(texts)))
    assert sorted(i.call for i in worker.admission.begun) == list(range(1, len(texts)))
    assert {orjson.loads(a.body)["dimensions"] for a in worker.model.attempts} == {512}


FIRST = replace(TITAN, id="amazon.titan-embed-text-v1")
ENGLISH = replace(TITAN, id="cohere.embed-english-v3", family="cohere_embed")
FOURTH = replace(TITAN, id="cohere.embed-v4:0", family="cohere_embed")
SECOND = replace(TITAN, id="amazon.titan-embed-text-v2:0")
PICTURES = replace(TITAN, id="amazon.titan-embed-image-v1")
UNKNOWN = replace(TITAN, id="amazon.titan-embed-text-v9:0")


@pytest.mark.parametrize(
    ("model", "dimensions", "sent"),
    [
        (TITAN, None, {"inputText": "x"}),
        (TITAN, 512, {"inputText": "x", "dimensions": 512}),
        (FIRST, None, {"inputText": "x"}),
        (FIRST, 1_536, {"inputText": "x"}),
        (ENGLISH, 1_024, {}),
        (FOURTH, 512, {"output_dimension": 512}),
        (FOURTH, 1_536, {"output_dimension": 1_536}),
        (PICTURES, None, {"inputText": "x"}),
        (PICTURES, 384, {"inputText": "x", "embeddingConfig": {"outputEmbeddingLength": 384}}),
        (UNKNOWN, 300, {"inputText": "x", "dimensions": 300}),
    ],
)
def test_a_model_is_told_only_what_it_knows(
    model: Model, dimensions: int | None, sent: dict[str, Any]
) -> None:
    (call,) = planned(model, dimensions)
    of_cohere = {"texts", "input_type", "truncate", "embedding_types"}
    assert {name: call.body[name] for name in call.body.keys() - of_cohere} == sent


@pytest.mark.parametrize(
    ("model", "dimensions", "made"),
    [
        (FIRST, 512, "1,536 numbers alone"),
        (ENGLISH, 512, "1,024 numbers alone"),
        (SECOND, 384, "256, 512 or 1,024 numbers"),
        (FOURTH, 300, "256, 512, 1,024 or 1,536 numbers"),
        (PICTURES, 512, "256, 384 or 1,024 numbers"),
    ],
)
def test_vectors_of_a_length_that_a_model_does_not_make_are_refused(
    model: Model, dimensions: int, made: str
) -> None:
    with pytest.raises(errors.BadRequest, match=f"{model.id} makes vectors of {made}"):
        planned(model, dimensions)


@pytest.mark.parametrize("model", [FIRST, ENGLISH, SECOND, FOURTH, PICTURES])
def test_the_emulator_makes_vectors_of_each_length_and_of_no_other(model: Model) -> None:
    lengths = vector_lengths(model.id)
    assert lengths
    for length in lengths:
        (call,) = planned(model, length)
        assert read_embedding(dict(call.body), emulated()[model.id]).dimensions == length
    for length in {*range(1, 4_097, 128), 384} - set(lengths):
        with pytest.raises(errors.BadRequest):
            planned(model, length)


PROFILE = "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/abc123"


@pytest.mark.parametrize(
    ("model", "wanted", "made"),
    [
        (FIRST, 512, 1_536),
        (ENGLISH, 512, 1_024),
        (PICTURES, 512, 1_024),
        (PICTURES, 384, 384),
        (SECOND, 512, 512),
        (SECOND, 1_536, 1_024),
        (FOURTH, 512, 512),
        (UNKNOWN, 300, 300),
    ],
)
@pytest.mark.parametrize("name", [None, PROFILE])
def test_a_plan_s_space_is_as_near_to_its_dimensions_as_the_model_makes(
    model: Model, wanted: int, made: int, name: str | None
) -> None:
    """A plan that was stored before this was held, or whose model only the placement knows."""
    named = plan(embedding_model=name or model.id, embedding_dimensions=wanted)
    who = principal("acme", named, inference_profiles={PROFILE: model.id})
    worker = core()
    worker.directory.found = Catalogue([model])
    space = run(worker.embeddings.plan_space(who))
    assert space == Space(model.id, made)
    call = worker.embeddings.plan_in(who, worker.directory.found, space, "x")
    assert call.body


def planned(
    model: Model, dimensions: int | None, text: str = "x", purpose: Purpose = "document"
) -> list[Any]:
    catalogue = Catalogue([model])
    return core().embeddings.plan(ACME, catalogue, model.id, [text], dimensions, purpose)


LONG = {
    "English": "The quick brown fox jumps over the lazy dog, again and again. " * 133,
    "Thai": "สวัสดีชาวโลก" * 683,
    "Japanese": "日本語の文章は長い。" * 820,
    "Hindi": "यह एक लंबा वाक्य है। " * 391,
    "wide": "\U0001f680" * 8_192,
    "blank first": " " * 8_000 + "x" * 192,
}


@pytest.mark.parametrize("language", LONG)
@pytest.mark.parametrize("purpose", ["document", "query"])
@pytest.mark.parametrize("model_id", [FIRST.id, SECOND.id, PICTURES.id, ENGLISH.id, FOURTH.id])
def test_what_is_searched_is_embedded_as_far_as_the_model_takes_it(
    model_id: str, purpose: Purpose, language: str
) -> None:
    """The emulator refuses what is too long, as Bedrock does; the bound is of what is sent."""
    of_emulator = emulated()[model_id]
    family = "cohere_embed" if model_id.startswith("cohere") else "titan_embed"
    model = replace(TITAN, id=model_id, family=family, window=of_emulator.window)
    for length in (1_000, QUERY_CHARS_MAX):
        (call,) = planned(model, None, LONG[language][:length] + "end", purpose)
        read = read_embedding(dict(call.body), of_emulator)
        assert read.tokens <= call.planned.bound.input_tokens
        (sent,) = read.texts
        assert sent.strip()
        if model.id == ENGLISH.id:
            assert len(sent) <= 2_048, "more is refused whatever it is told to cut"
    (call,) = planned(model, None, "a short one ", purpose)
    assert read_embedding(dict(call.body), of_emulator).texts == ("a short one ",)


def test_what_a_client_has_embedded_is_never_cut() -> None:
    for model in (replace(PICTURES, window=128), replace(ENGLISH, window=512)):
        (call,) = planned(model, None, "x" * 1_000, "client")
        assert call.body.get("inputText", call.body.get("texts")) in ("x" * 1_000, ["x" * 1_000])
        assert call.body.get("truncate", "NONE") == "NONE"
        with pytest.raises(errors.LargerThanLimit):
            planned(model, None, "x" * (model.window * 8 + 1), "client")


NOVA = replace(TITAN, id="amazon.nova-2-multimodal-embeddings-v1:0", family="nova_embed")


def test_nova_embeds_a_clients_texts_one_a_call() -> None:
    of_emulator = emulated()[NOVA.id]
    for length in (None, *vector_lengths(NOVA.id)):
        (call,) = planned(NOVA, length, "world", "client")
        read = read_embedding(dict(call.body), of_emulator)
        assert (read.texts, read.dimensions) == (("world",), length or 3_072)
        assert 0 < read.tokens <= call.planned.bound.input_tokens
    for length in (1, 512, 4_096):
        with pytest.raises(errors.BadRequest, match="256, 384, 1,024 or 3,072 numbers"):
            planned(NOVA, length, "world", "client")
    for purpose in ("document", "query"):
        with pytest.raises(errors.BadRequest, match="cannot be used to embed texts here"):
            planned(NOVA, None, "world", purpose)


def nova(attempt: Attempt) -> list[float]:
    params = orjson.loads(attempt.body)["singleEmbeddingParams"]
    return vector_of(params["text"]["value"], 384)


def embed_by_nova(worker: Core) -> Embedded:
    worker.directory.found = Catalogue([NOVA])
    return run(worker.embeddings.embed(context(ACME), NOVA.id, ["a", "bcd"], 384))


def test_novas_vectors_come_in_order_and_are_metered() -> None:
    async def answer(attempt: Attempt) -> Any:
        said = {"embeddings": [{"embeddingType": "TEXT", "embedding": nova(attempt)}]}
        return reply(said, {"x-amzn-bedrock-input-token-count": "3"})

    done = embed_by_nova(core(answer, answer))
    assert list(done.vectors) == [vector_of("a", 384), vector_of("bcd", 384)]
    assert done.usage.embedding == 6
    assert done.charge is not None and done.charge > 0


@pytest.mark.parametrize("said", [{}, {"embeddings": None}, {"embeddings": [{"x": []}]}])
def test_an_answer_of_novas_without_a_vector_is_rubbish(said: dict[str, Any]) -> None:
    answer = reply(said, {"x-amzn-bedrock-input-token-count": "3"})
    with pytest.raises(errors.UpstreamRubbish):
        embed_by_nova(core(answer, answer))


def test_calls_at_once_are_bounded() -> None:
    at_once = most = 0

    async def counted(attempt: Attempt) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        answer = await embedding(attempt)
        at_once -= 1
        return answer

    embed(core(*[counted] * 50), ["text"] * 50)
    assert most == PARALLEL_CALLS_MAX


def test_one_failure_fails_all_and_buys_no_further_call() -> None:
    refused = Failure(FailureKind.REFUSED, False, "too long", 400, "ValidationException")
    worker = core(embedding, refused, *[embedding] * 98)
    with pytest.raises(errors.UpstreamRefused):
        embed(worker, ["text"] * 100)
    assert len(worker.model.attempts) <= PARALLEL_CALLS_MAX
    outcomes = worker.admission.outcomes
    assert len(outcomes) == len(worker.model.attempts)  # each that left has its row
    assert sum(o.end == "released" for o in outcomes) == 1


AWAY = Failure(FailureKind.UNREACHABLE, False, "away")


@pytest.mark.parametrize(
    ("failures", "told"),
    [([throttled()] * 5, errors.UpstreamThrottled), ([AWAY] * 3, errors.UpstreamUnavailable)],
    ids=["throttled", "away"],
)
def test_vectors_that_nobody_gets_are_our_waste(
    failures: list[Failure], told: type[errors.TenantryError]
) -> None:
    worker, ctx = core(embedding, *failures), context(ACME)
    with pytest.raises(told):
        run(worker.embeddings.embed(ctx, TITAN.id, ["text", "more text"], 512))
    (paid,) = [outcome for outcome in worker.admission.outcomes if outcome.end == "settled"]
    assert paid.rated is not None
    assert paid.rated.cost > 0
    assert not paid.charged
    assert UNDELIVERED in paid.flags
    assert not ctx.progress.spent, "the same request may be sent again"


@pytest.mark.parametrize(("purpose", "charged"), [("client", True), ("document", False)])
def test_what_no_model_takes_is_charged_as_far_as_it_went_where_a_client_asked_for_it(
    purpose: Purpose, charged: bool
) -> None:
    """Of a document's batch the other passages are embedded again."""
    refused = Failure(FailureKind.REFUSED, False, "too long", 400, "ValidationException")
    worker, ctx = core(embedding, refused), context(ACME)
    with pytest.raises(errors.UpstreamRefused):
        texts = ["text", "more text"]
        run(worker.embeddings.embed(ctx, TITAN.id, texts, 512, purpose=purpose))
    assert [o.charged for o in worker.admission.outcomes if o.end == "settled"] == [charged]
    assert ctx.progress.spent == charged


def test_a_batch_that_was_throttled_from_its_first_call_has_cost_nothing() -> None:
    worker, ctx = core(*[throttled()] * 5), context(ACME)
    with pytest.raises(errors.UpstreamThrottled):
        run(worker.embeddings.embed(ctx, TITAN.id, ["text"], 512))
    assert not ctx.progress.spent


def test_a_batch_that_nobody_counts_is_reserved_as_such() -> None:
    worker = core(embedding)
    embed(worker, ["a"], counts_as_request=False, paced_by_minute=False)
    (made,) = worker.admission.reservations
    assert (made.counts_as_request, made.paced_by_minute) == (False, False)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([], errors.BadRequest),
        (["x"] * (TEXTS_MAX + 1), errors.BadRequest),
        (["x", "  "], errors.BadRequest),
        (["x" * (TITAN.window * 8 + 1)], errors.LargerThanLimit),
    ],
)
def test_what_cannot_be_embedded_reserves_nothing(
    texts: list[str], told: type[errors.TenantryError]
) -> None:
    worker = core()
    with pytest.raises(told):
        embed(worker, texts)
    assert worker.admission.reservations == []


def test_a_chat_model_does_not_embed() -> None:
    worker = core()
    with pytest.raises(errors.BadRequest, match="embed"):
        run(worker.embeddings.embed(context(ACME), "claude", ["x"], None))
    assert worker.admission.reservations == []


@pytest.mark.parametrize(
    "document", [{}, {"embeddings": []}, {"embeddings": {"float": 5}}, {"embeddings": None}]
)
def test_an_answer_without_vectors_is_rubbish_and_settled(document: dict[str, Any]) -> None:
    worker = core(reply({**document, "inputTextTokenCount": 3}))
    with pytest.raises(errors.UpstreamRubbish):
        embed(worker, ["x"])
    assert len(worker.admission.outcomes) == 1


def test_cohere_takes_many_texts_in_one_call() -> None:
    cohere = replace(TITAN, id="cohere.embed-test-v3", family="cohere_embed")

    async def answer(attempt: Attempt) -> Any:
        texts = orjson.loads(attempt.body)["texts"]
        headers = {"x-amzn-bedrock-input-token-count": str(len(texts))}
        return reply({"embeddings": {"float": [vector_of(t) for t in texts]}}, headers)

    worker = core(answer, answer)
    worker.directory.found = type(worker.directory.found)([cohere])
    texts = ["x" * number for number in range(1, 100)]
    done = run(worker.embeddings.embed(context(ACME), cohere.id, texts, None, purpose="query"))
    assert list(done.vectors) == [vector_of(text) for text in texts]
    bodies = [orjson.loads(attempt.body) for attempt in worker.model.attempts]
    assert sorted(len(body["texts"]) for body in bodies) == [3, 96]
    assert {body["input_type"] for body in bodies} == {"search_query"}
