"""The routes of bedrock-agent-runtime."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tenantry.domain import eventstream
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http.bedrock_agent.answers import (
    SESSION_HEADER,
    frames_of,
    from_passage,
    from_reranked,
    from_turn,
)
from tenantry.entrypoints.http.bedrock_agent.paging import offset_of, page_of
from tenantry.entrypoints.http.bedrock_agent.requests import (
    to_rerank,
    to_search,
    to_turn,
    user_in,
)
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.charge import CHARGE_HEADER, charge_text, max_tokens_headers
from tenantry.entrypoints.http.response import Response, StreamingResponse, json_response
from tenantry.entrypoints.http.routes import LARGE_BODY_BYTES_MAX, Access, Handler, Route


async def retrieve(call: Call) -> Response:
    body = call.json(exact=True)
    asked = to_search(call.params["id"], body, call.tenant().tenant_id)
    offset = offset_of(body)
    found = await call.services.library.find(call.context(user=user_in(body)), asked)
    results = [from_passage(passage) for passage in found.passages]
    shown, token = page_of(results, offset, body)
    document: dict[str, Any] = {"retrievalResults": shown}
    if token is not None:
        document["nextToken"] = token
    return _charged(document, found.charge or None, found.currency)


async def retrieve_and_generate(call: Call) -> Response:
    body = call.json(exact=True)
    turn = to_turn(body, call.tenant().tenant_id)
    ctx = call.context(user=user_in(body))
    session_id, answer = await call.services.conversations.answer(ctx, turn)
    guarded = "guardrailConfig" in turn.members
    document = from_turn(session_id, answer, guarded=guarded)
    response = _charged(document, answer.charge, answer.currency)
    response.headers |= max_tokens_headers(answer.max_tokens)
    return response


async def retrieve_and_generate_stream(call: Call) -> StreamingResponse:
    body = call.json(exact=True)
    turn = to_turn(body, call.tenant().tenant_id)
    ctx = call.context(user=user_in(body))
    session_id, stream = await call.services.conversations.stream(ctx, turn)
    headers = {"content-type": eventstream.CONTENT_TYPE, SESSION_HEADER: session_id}
    headers |= max_tokens_headers(stream.max_tokens)
    guarded = "guardrailConfig" in turn.members
    return StreamingResponse(frames_of(stream, guarded=guarded), headers, stream.leave)


async def rerank(call: Call) -> Response:
    asked = to_rerank(call.json())
    done = await call.services.reranker.rerank(call.context(), asked)
    return _charged(from_reranked(done), done.charge, done.currency)


def _charged(document: dict[str, Any], charge: Decimal | None, currency: str) -> Response:
    response = json_response(document)
    if charge is not None:
        response.headers[CHARGE_HEADER] = charge_text(charge, currency)
    return response


def _route(template: str, handler: Handler, summary: str, *scopes: Scope) -> Route:
    return Route(
        "POST",
        template,
        "bedrock",
        handler,
        Access.TENANT,
        summary,
        scopes,
        body_bytes_max=LARGE_BODY_BYTES_MAX,  # filters as large as they may be; 1,000 documents
    )


ROUTES = (
    _route("/knowledgebases/{id}/retrieve", retrieve, "Retrieve", Scope.SEARCH),
    _route(
        "/retrieveAndGenerate",
        retrieve_and_generate,
        "RetrieveAndGenerate",
        Scope.INFER,
        Scope.SEARCH,
    ),
    _route(
        "/retrieveAndGenerateStream",
        retrieve_and_generate_stream,
        "RetrieveAndGenerateStream",
        Scope.INFER,
        Scope.SEARCH,
    ),
    _route("/rerank", rerank, "Rerank", Scope.INFER),
)
