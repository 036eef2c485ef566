"""`/v1/search` and `/v1/answers`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from tenantry.application.asking import Search, plain_question
from tenantry.application.retrieval import TOP_K_DEFAULT, TOP_K_MAX
from tenantry.domain.errors import TenantryError, UpstreamRubbish
from tenantry.domain.filter import filter_from
from tenantry.domain.model_ids import MODEL_ID_CHARS_MAX
from tenantry.domain.rerank import Reranking
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http import sse
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.charge import CHARGE_HEADER, charge_text, max_tokens_headers
from tenantry.entrypoints.http.described import Filtering, Question, TopK
from tenantry.entrypoints.http.errors import to_sse_error
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.knowledge.views import from_answer, from_passage
from tenantry.entrypoints.http.response import Response, StreamingResponse, json_response
from tenantry.entrypoints.http.routes import LARGE_BODY_BYTES_MAX, Access, Route
from tenantry.entrypoints.http.services import AnswerStream


class RerankChoice(Struct, forbid_unknown_fields=True):
    """A reranking model orders the passages, and `keep` of them stay; null: all."""

    model: Annotated[str, Meta(min_length=1, max_length=MODEL_ID_CHARS_MAX)]
    keep: Annotated[int, Meta(ge=1, le=TOP_K_MAX)] | None = None


class SearchRequest(Struct, forbid_unknown_fields=True):
    query: Question
    top_k: TopK = TOP_K_DEFAULT
    filter: Filtering = None
    rerank: RerankChoice | None = None


class AnswerRequest(Struct, forbid_unknown_fields=True):
    question: Question
    model: str | None = None  # the plan's
    top_k: TopK = TOP_K_DEFAULT
    filter: Filtering = None
    rerank: RerankChoice | None = None
    stream: bool = False


async def search(call: Call) -> Response:
    asked = to(SearchRequest, call.json(exact=True))
    where, reranking = filter_from(asked.filter), _reranking(asked.rerank)
    wanted = Search(asked.query, asked.top_k, where, reranking)
    found = await call.services.library.find(call.context(), wanted)
    response = json_response({"passages": [from_passage(passage) for passage in found.passages]})
    if found.charge:
        response.headers[CHARGE_HEADER] = charge_text(found.charge, found.currency)
    return response


async def answer(call: Call) -> Response | StreamingResponse:
    asked = to(AnswerRequest, call.json(exact=True))
    where, reranking = filter_from(asked.filter), _reranking(asked.rerank)
    question = plain_question(asked.question, asked.model, asked.top_k, where, reranking)
    answers, ctx = call.services.answers, call.context()
    if asked.stream:
        stream = await answers.ask_stream(ctx, question)
        events = _events(stream, call.request_id)
        headers = dict(sse.HEADERS) | max_tokens_headers(stream.max_tokens)
        return StreamingResponse(events, headers, stream.leave)
    done = await answers.ask(ctx, question)
    response = json_response(from_answer(done))
    response.headers |= max_tokens_headers(done.max_tokens)
    if done.charge is not None:
        response.headers[CHARGE_HEADER] = charge_text(done.charge, done.currency)
    return response


def _reranking(given: RerankChoice | None) -> Reranking | None:
    return None if given is None else Reranking(given.model, given.keep)


async def _events(stream: AnswerStream, request_id: UUID) -> AsyncIterator[bytes]:
    """`{"text"}` objects, then the whole answer with citations and charge, then `[DONE]`."""
    try:
        async for text in stream.texts:
            if text:
                yield sse.event({"text": text})
        result = stream.result
        if result is None:
            raise UpstreamRubbish("The model's answer ended before it was complete.")
    except TenantryError as failure:
        yield sse.raw_event(to_sse_error(failure, "tenantry", request_id))
        return
    last = from_answer(result)
    if result.charge is not None:
        last["tenantry"] = {"charge": charge_text(result.charge, result.currency)}
    yield sse.event(last)
    yield sse.DONE


ROUTES = (
    Route(
        "POST",
        "/v1/search",
        "tenantry",
        search,
        Access.TENANT,
        "Passages of the tenant's documents",
        (Scope.SEARCH,),
        body_bytes_max=LARGE_BODY_BYTES_MAX,  # filters as large as they may be
    ),
    Route(
        "POST",
        "/v1/answers",
        "tenantry",
        answer,
        Access.TENANT,
        "An answer from the tenant's documents, with citations",
        (Scope.INFER, Scope.SEARCH),
        body_bytes_max=LARGE_BODY_BYTES_MAX,
    ),
)
