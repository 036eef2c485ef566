"""A chat, with passages of the tenant's documents where `x-tenantry-knowledge` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tenantry.application.asking import chat_question
from tenantry.application.calls import ChatCall, Completed, Streamed
from tenantry.application.context import RequestContext
from tenantry.entrypoints.http.attribution import knowledge_of
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.knowledge.views import from_grounds

# Citations and passages as JSON, of what the model has said so far.
Grounds = Callable[[], Mapping[str, Any]]


async def completed(
    call: Call, ctx: RequestContext, chat: ChatCall
) -> tuple[Completed, Mapping[str, Any] | None]:
    """A whole answer, and its citations and passages where they were asked for."""
    top_k = knowledge_of(call.request.headers)
    if top_k is None:
        return await call.services.inference.complete(ctx, chat), None
    found = await call.services.grounded.complete(ctx, chat_question(chat, top_k))
    return found.done, from_grounds(found.citations, found.passages)


async def streamed(
    call: Call, ctx: RequestContext, chat: ChatCall
) -> tuple[Streamed, Grounds | None]:
    """An answer under way, and likewise."""
    top_k = knowledge_of(call.request.headers)
    if top_k is None:
        return await call.services.inference.stream(ctx, chat), None
    stream = await call.services.grounded.stream(ctx, chat_question(chat, top_k))
    return stream, lambda: from_grounds(stream.citations, stream.passages)
