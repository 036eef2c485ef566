"""The Bedrock runtime's routes."""

from __future__ import annotations

from dataclasses import replace

from tenantry.domain.tenant import Scope
from tenantry.entrypoints.http.bedrock.answers import from_completed, from_streamed
from tenantry.entrypoints.http.bedrock.requests import (
    to_apply_guardrail,
    to_converse_call,
    to_count_tokens,
    to_invoke_call,
)
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.chats import completed, streamed
from tenantry.entrypoints.http.json_body import LONG_IN
from tenantry.entrypoints.http.response import Response, StreamingResponse
from tenantry.entrypoints.http.routes import LARGE_BODY_BYTES_MAX, Access, Handler, Route


async def converse(call: Call) -> Response:
    chat = to_converse_call(call.params["model"], call.json(long_in=LONG_IN), "Converse")
    return from_completed(*await completed(call, call.context(), chat))


async def converse_stream(call: Call) -> StreamingResponse:
    chat = to_converse_call(call.params["model"], call.json(long_in=LONG_IN), "ConverseStream")
    return from_streamed(*await streamed(call, call.context(), chat))


async def invoke(call: Call) -> Response:
    request = call.request
    chat = to_invoke_call(call.params["model"], request.body, request.headers, "InvokeModel")
    return from_completed(await call.services.inference.complete(call.faithful_context(), chat))


async def invoke_stream(call: Call) -> StreamingResponse:
    request = call.request
    chat = to_invoke_call(
        call.params["model"], request.body, request.headers, "InvokeModelWithResponseStream"
    )
    answer = from_streamed(await call.services.inference.stream(call.faithful_context(), chat))
    answer.headers.setdefault("x-amzn-bedrock-content-type", "application/json")
    return answer


async def count_tokens(call: Call) -> Response:
    model = call.params["model"]
    body = to_count_tokens(model, call.json(long_in=frozenset({"input"})))
    ctx = call.faithful_context()
    return from_completed(await call.services.inference.count_tokens(ctx, model, body))


async def apply_guardrail(call: Call) -> Response:
    body = to_apply_guardrail(call.json())
    identifier, version = call.params["id"], call.params["version"]
    done = await call.services.guardrails.apply(call.context(), identifier, version, body)
    return from_completed(done)


def _route(action: str, handler: Handler, access: Access, summary: str) -> Route:
    template = f"/model/{{model}}/{action}"
    return Route(
        "POST",
        template,
        "bedrock",
        handler,
        access,
        summary,
        (Scope.INFER,),
        body_bytes_max=LARGE_BODY_BYTES_MAX,
    )


def _chat(action: str, handler: Handler, summary: str) -> Route:
    return replace(_route(action, handler, Access.TENANT, summary), takes_knowledge=True)


ROUTES = (
    _chat("converse", converse, "Converse"),
    _chat("converse-stream", converse_stream, "ConverseStream"),
    _route("invoke", invoke, Access.TENANT, "InvokeModel"),
    _route(
        "invoke-with-response-stream",
        invoke_stream,
        Access.TENANT,
        "InvokeModelWithResponseStream",
    ),
    Route(
        "POST",
        "/guardrail/{id}/version/{version}/apply",
        "bedrock",
        apply_guardrail,
        Access.TENANT,
        "ApplyGuardrail",
        (Scope.INFER,),
        body_bytes_max=LARGE_BODY_BYTES_MAX,
    ),
    _route("count-tokens", count_tokens, Access.TENANT, "CountTokens, free of charge"),
)
