"""OpenAI's routes: chat completions, embeddings, models."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Final

import orjson

from tenantry.application.cached_answers import CACHE_HEADER
from tenantry.application.calls import ChatCall, Streamed
from tenantry.domain.end_user import user_from
from tenantry.domain.errors import BadRequest, TenantryError, UpstreamRubbish
from tenantry.domain.shape import check_parts, check_shape
from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http import sse
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.charge import CHARGE_HEADER, charge_text, max_tokens_headers
from tenantry.entrypoints.http.chats import Grounds, completed, streamed
from tenantry.entrypoints.http.errors import to_sse_error
from tenantry.entrypoints.http.json_body import LONG_IN
from tenantry.entrypoints.http.openai import embeddings
from tenantry.entrypoints.http.openai.chunks import ChunkMaker
from tenantry.entrypoints.http.openai.from_converse import from_converse
from tenantry.entrypoints.http.openai.metadata import to_request_metadata
from tenantry.entrypoints.http.openai.models import Choice
from tenantry.entrypoints.http.openai.refusing import naming, read
from tenantry.entrypoints.http.openai.schema import ChatRequest, EmbeddingsRequest, given
from tenantry.entrypoints.http.openai.to_converse import (
    has_one_call,
    limit_name,
    service_tier,
    to_converse,
)
from tenantry.entrypoints.http.response import Response, StreamingResponse, json_response
from tenantry.entrypoints.http.routes import LARGE_BODY_BYTES_MAX, Access, Route
from tenantry.entrypoints.http.stream_errors import error_of

_log = logging.getLogger(__name__)
# What a refusal may be of, and the parameter that it is here.
_OF_CHATS: Final = {
    "model": "model",
    "messages": "messages",
    "tools": "tools",
    "stop": "stop",
    "tier": "service_tier",
    "cache": "cache_control",
}
_OF_EMBEDDINGS: Final = {"model": "model", "texts": "input", "dimensions": "dimensions"}


async def chat_completions(call: Call) -> Response | StreamingResponse:
    asked = given(call.json(long_in=LONG_IN))
    with naming(_OF_CHATS):
        check_shape(asked)
        check_parts(asked.get("messages"))
    chat = read(ChatRequest, asked)
    body = to_converse(chat)
    streams = bool(chat.stream)
    converse = ChatCall(
        "ConverseStream" if streams else "Converse",
        chat.model,
        body,
        service_tier=service_tier(chat),
        request_metadata=to_request_metadata(chat.metadata),
    )
    names = _OF_CHATS | {"output": limit_name(chat)}
    ctx = call.context(user=_user(chat.user))
    completion_id = f"chatcmpl-{call.request_id.hex}"
    created = int(call.services.clock.now().timestamp())
    if streams:
        options = chat.stream_options
        maker = ChunkMaker(
            completion_id=completion_id,
            created=created,
            model=chat.model,
            include_usage=bool(options and options.include_usage),
            one_call=has_one_call(chat),
        )
        with naming(names):
            stream, grounds = await streamed(call, ctx, converse)
        headers = dict(sse.HEADERS) | max_tokens_headers(stream.max_tokens)
        return StreamingResponse(_events(stream, maker, grounds), headers, stream.leave)
    with naming(names):
        done, told = await completed(call, ctx, converse)
    completion = from_converse(
        done.body,
        done.usage,
        completion_id=completion_id,
        created=created,
        model=chat.model,
        one_call=has_one_call(chat),
    )
    response = json_response(completion if told is None else {**completion, "tenantry": told})
    response.headers |= max_tokens_headers(done.max_tokens)
    if CACHE_HEADER in done.headers:
        response.headers[CACHE_HEADER] = done.headers[CACHE_HEADER]
    if done.charge is not None:
        response.headers[CHARGE_HEADER] = charge_text(done.charge, done.currency)
    return response


def _user(given: str | None) -> str | None:
    """An empty one is none, as some clients always send the member. Raises `BadRequest`."""
    try:
        return user_from(given or None, field="user")
    except BadRequest as refusal:
        refusal.details["param"] = "user"
        raise


async def _events(
    streamed: Streamed, maker: ChunkMaker, grounds: Grounds | None
) -> AsyncIterator[bytes]:
    """Chunks, then `[DONE]`; a failure in the middle is an error object and no `[DONE]`."""
    try:
        async for frame in streamed.frames:
            if (told := error_of(frame)) is not None:  # raised, it would hold this frame
                yield sse.raw_event(to_sse_error(told, "openai", streamed.request_id))
                return
            charge = streamed.charge
            text = None if charge is None else charge_text(charge, streamed.currency)
            for chunk in maker.feed(frame, streamed.usage, text, grounds):
                yield sse.event(chunk)
        if not maker.finished:
            raise UpstreamRubbish("The model's answer ended before it was complete.")
    except TenantryError as failure:
        yield sse.raw_event(to_sse_error(failure, "openai", streamed.request_id))
        return
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as failure:
        _log.error("a frame could not be understood: %s", type(failure).__name__)
        yield sse.raw_event(to_sse_error(UpstreamRubbish(), "openai", streamed.request_id))
        return
    yield sse.DONE


async def create_embeddings(call: Call) -> Response:
    request = read(EmbeddingsRequest, given(call.json()))
    texts = embeddings.texts_of(request)
    ctx = call.context(user=_user(request.user))
    with naming(_OF_EMBEDDINGS):
        done = await call.services.embeddings.embed(ctx, request.model, texts, request.dimensions)
    response = json_response(embeddings.from_embedded(done, request))
    if done.charge is not None:
        response.headers[CHARGE_HEADER] = charge_text(done.charge, done.currency)
    return response


async def list_models(call: Call) -> Response:
    return json_response({"object": "list", "data": (await _choice(call)).all()})


async def get_model(call: Call) -> Response:
    return json_response((await _choice(call)).one(call.params["model"]))


async def _choice(call: Call) -> Choice:
    directory = call.services.directory
    catalogue, prices = await directory.catalogue(), await directory.prices()
    return Choice(call.tenant(), catalogue, prices, call.services.clock.now().date())


ROUTES = (
    Route(
        "POST",
        "/v1/chat/completions",
        "openai",
        chat_completions,
        Access.TENANT,
        "A chat completion, plain or streamed",
        (Scope.INFER,),
        takes_knowledge=True,
        body_bytes_max=LARGE_BODY_BYTES_MAX,
    ),
    Route(
        "POST",
        "/v1/embeddings",
        "openai",
        create_embeddings,
        Access.TENANT,
        "Vectors of texts",
        (Scope.INFER,),
        body_bytes_max=LARGE_BODY_BYTES_MAX,
    ),
    Route(
        "GET",
        "/v1/models",
        "openai",
        list_models,
        Access.TENANT_FRESH,
        "The models that this API key may call",
    ),
    Route(
        "GET",
        "/v1/models/{model}",
        "openai",
        get_model,
        Access.TENANT_FRESH,
        "One model",
    ),
)
