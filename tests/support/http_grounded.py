"""Chats over one fixed passage, behind the HTTP edge."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from tenantry.application.asking import Question
from tenantry.application.context import RequestContext
from tenantry.application.grounded import GroundedCompleted
from tenantry.domain.chunk import Passage
from tenantry.domain.ids import DocumentId
from tenantry.domain.prompt import Citation, citations_in


class FixedGrounded:
    """Gives one passage to every chat that asks for some, and has its answer cite it."""

    passage = Passage(DocumentId("doc_x"), "Title", "passage", 0.9, 0, 7)

    def __init__(self, inference: Any) -> None:
        self._inference = inference
        self.asked: list[Question] = []

    async def complete(self, ctx: RequestContext, asked: Question) -> GroundedCompleted:
        self.asked.append(asked)
        chat = asked.call(ctx.principal, "Converse", [self.passage])
        done = await self._inference.complete(ctx, chat)
        return GroundedCompleted(done, orjson.loads(done.body), [self.passage])

    async def stream(self, ctx: RequestContext, asked: Question) -> FixedGroundedStream:
        self.asked.append(asked)
        chat = asked.call(ctx.principal, "ConverseStream", [self.passage])
        return FixedGroundedStream(await self._inference.stream(ctx, chat), [self.passage])


class FixedGroundedStream:
    """Cites the first of its passages."""

    def __init__(self, streamed: Any, passages: Sequence[Passage]) -> None:
        self.request_id, self.headers = streamed.request_id, streamed.headers
        self.currency, self.max_tokens = streamed.currency, streamed.max_tokens
        self.usage, self.passages = streamed.usage, passages
        self.frames, self.leave = streamed.frames, streamed.leave
        self._streamed = streamed

    @property
    def charge(self) -> Decimal | None:
        return self._streamed.charge

    @property
    def citations(self) -> list[Citation]:
        return citations_in("[1]", self.passages)
