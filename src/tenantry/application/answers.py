"""Answers from a tenant's documents: steps 3 to 7 for one request of two calls.

One reservation covers the query's embedding (call 0) and the model (call 1), over `top_k`
passages of full size; the passages that then go into the prompt are as many as fit into what
was reserved.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from tenantry.application.admitted import AdmittedRequest
from tenantry.application.attempts import attempts
from tenantry.application.calls import ChatCall, ChatOperation
from tenantry.application.context import RequestContext
from tenantry.application.embeddings import Embeddings
from tenantry.application.gate import Gate
from tenantry.application.knowledge import Knowledge
from tenantry.application.metered_embedding import WithinRequest
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import PlannedChat, Planning
from tenantry.application.retrieval import check_query, search
from tenantry.application.streaming import StreamedAnswer, StreamLimits
from tenantry.domain import errors
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.chat_request import Clamp
from tenantry.domain.chunk import CHUNK_CHARS_MAX, Passage
from tenantry.domain.eventstream import Frame
from tenantry.domain.filter import Filter
from tenantry.domain.ids import DocumentId
from tenantry.domain.prompt import Citation, answer_prompt, citations_in
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.clock import Clock
from tenantry.ports.model import ModelPort

# What a passage is reserved at: its text at three bytes a character, its fence and title.
PASSAGE_TITLE_CHARS_RESERVED = 120
_EMBED_CALL, _CHAT_CALL = 0, 1


@dataclass(frozen=True, slots=True)
class Answer:
    answer: str
    citations: Sequence[Citation]
    usage: Usage
    charge: Decimal | None  # None: not known yet, and never shown as 0
    currency: str
    request_id: UUID
    max_tokens: int | None = None  # the model's output limit, where it was lowered


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    model: str | None
    top_k: int
    where: Filter | None
    operation: ChatOperation  # Converse or ConverseStream

    def chat(self, principal: Principal, passages: Sequence[Passage]) -> ChatCall:
        prompt = answer_prompt(self.text, passages)
        body = {
            "system": [{"text": prompt.system}],
            "messages": [{"role": "user", "content": [{"text": prompt.user}]}],
        }
        model = self.model or principal.tenant.plan.default_model
        return ChatCall(self.operation, model, body)


class Answers:
    """One for each worker."""

    def __init__(
        self,
        gate: Gate,
        planning: Planning,
        embeddings: Embeddings,
        calls: ModelCalls,
        model: ModelPort,
        knowledge: Knowledge,
        tasks: OwnedTasks,
        clock: Clock,
        limits: StreamLimits,
    ) -> None:
        self._gate = gate
        self._planning = planning
        self._embeddings = embeddings
        self._calls = calls
        self._model = model
        self._knowledge = knowledge
        self._tasks = tasks
        self._clock = clock
        self._limits = limits

    async def answer(
        self,
        ctx: RequestContext,
        question: str,
        model: str | None,
        top_k: int,
        where: Filter | None,
    ) -> Answer:
        """A whole answer, settled; says so where the documents do not hold it."""
        check_query(question, top_k)
        asked = _Question(question, model, top_k, where, "Converse")
        return await asyncio.shield(self._tasks.start(self._answer(ctx, asked), name="answer"))

    async def stream(
        self,
        ctx: RequestContext,
        question: str,
        model: str | None,
        top_k: int,
        where: Filter | None,
    ) -> AnswerStream:
        """An answer under way, once the model has begun to answer."""
        check_query(question, top_k)
        asked = _Question(question, model, top_k, where, "ConverseStream")
        found: list[Passage] = []
        streamed = StreamedAnswer(
            ctx.request_id,
            asked.chat(ctx.principal, ()),
            self._clock,
            self._limits,
            call=_CHAT_CALL,
            recorded=ctx.idempotency is not None,
        )
        self._tasks.start(self._stream(ctx, asked, streamed, found), name="answer-stream")
        try:
            await asyncio.shield(streamed.started)
        except asyncio.CancelledError:
            streamed.leave()
            raise
        return AnswerStream(streamed, found)

    async def _open(
        self, ctx: RequestContext, asked: _Question
    ) -> tuple[AdmittedRequest, PlannedChat, PlannedChat]:
        """Admits both calls; returns the plans of embedding and chat."""
        catalogue = await self._planning.catalogue()
        planned: list[PlannedChat] = []

        def planner(principal: Principal, most: int | None) -> list[Any]:
            clamp, full = ctx.clamp(principal, most), _full_passages(asked.top_k)
            planned[:] = [
                self._embedding(principal, catalogue, asked),
                self._chat(principal, catalogue, asked, full, clamp),
            ]
            return [call.planned for call in planned]

        request = await self._gate.open(ctx, planner)
        return request, planned[0], planned[1]

    def _embedding(
        self, principal: Principal, catalogue: Catalogue, asked: _Question
    ) -> PlannedChat:
        plan = principal.tenant.plan
        return self._embeddings.plan(
            principal,
            catalogue,
            plan.embedding_model,
            [asked.text],
            plan.embedding_dimensions,
            "query",
        )[0]

    def _chat(
        self,
        principal: Principal,
        catalogue: Catalogue,
        asked: _Question,
        passages: Sequence[Passage],
        clamp: Clamp,
    ) -> PlannedChat:
        chat = asked.chat(principal, passages)
        return self._planning.chat(principal, chat, catalogue, None, clamp)

    async def _retrieve(
        self, ctx: RequestContext, request: AdmittedRequest, embed: PlannedChat, asked: _Question
    ) -> list[Passage]:
        within = WithinRequest(request, self._embeddings, embed)
        try:
            found = await search(
                self._knowledge,
                request.principal,
                asked.text,
                groups=ctx.groups,
                top_k=asked.top_k,
                where=asked.where,
                request=within,
            )
        finally:
            within.release_if_unused()
        return list(found)

    async def _fitting(
        self,
        request: AdmittedRequest,
        asked: _Question,
        reserved: PlannedChat,
        passages: list[Passage],
    ) -> PlannedChat:
        """The chat with as many passages, best first, as the reservation holds."""
        catalogue = await self._planning.catalogue()
        room = reserved.planned.bound.input_tokens
        clamp = Clamp(reserved.max_tokens is not None, reserved.max_tokens)
        while True:
            chat = self._chat(request.principal, catalogue, asked, passages, clamp)
            if chat.planned.bound.input_tokens <= room or not passages:
                return chat
            passages.pop()

    async def _answer(self, ctx: RequestContext, asked: _Question) -> Answer:
        request, embed, reserved = await self._open(ctx, asked)
        try:
            passages = await self._retrieve(ctx, request, embed, asked)
            chat = await self._fitting(request, asked, reserved, passages)
            await request.begin(chat.planned, _CHAT_CALL, 1)
            reply = await self._calls.plain(request, _CHAT_CALL, chat)
        finally:
            await request.settle()
        text = _text_of(reply.document)
        return Answer(
            text,
            citations_in(text, passages),
            request.usage,
            request.charge if request.priced else None,
            request.principal.tenant.currency,
            ctx.request_id,
            chat.max_tokens,
        )

    async def _stream(
        self,
        ctx: RequestContext,
        asked: _Question,
        streamed: StreamedAnswer,
        found: list[Passage],
    ) -> None:
        with streamed.told():
            request, embed, reserved = await self._open(ctx, asked)
            streamed.max_tokens = reserved.max_tokens
            try:
                found[:] = await self._retrieve(ctx, request, embed, asked)
                chat = await self._fitting(request, asked, reserved, found)
                await request.begin(chat.planned, _CHAT_CALL, 1)
                leave = self._planning.departure(
                    request.principal, ctx.request_id, _CHAT_CALL, chat
                )
                reply, attempt = await attempts(
                    request, chat.planned, _CHAT_CALL, self._model.stream, leave.attempt
                )
            except BaseException:
                await request.settle()
                raise
            await streamed.run(request, chat.planned, reply, attempt)


class AnswerStream:
    """Texts as the model writes them; `result` is set when they have ended."""

    def __init__(self, streamed: StreamedAnswer, passages: Sequence[Passage]) -> None:
        self._streamed = streamed
        self._passages = passages
        self.result: Answer | None = None
        self.max_tokens = streamed.max_tokens

    @property
    async def texts(self) -> AsyncIterator[str]:
        """Raises `UpstreamFailed` or `Unavailable` where the answer breaks off."""
        parts: list[str] = []
        async for frame in self._streamed.frames:
            if frame.exception_type is not None:
                raise _broken(frame.exception_type)
            if frame.event_type == "contentBlockDelta":
                text = _delta_of(frame)
                parts.append(text)
                yield text
        answer = "".join(parts)
        self.result = Answer(
            answer,
            citations_in(answer, self._passages),
            self._streamed.usage,
            self._streamed.charge,
            self._streamed.currency,
            self._streamed.request_id,
            self.max_tokens,
        )

    def leave(self) -> None:
        self._streamed.leave()


def _broken(exception_type: str) -> errors.TenantryError:
    if exception_type == "serviceUnavailableException":
        return errors.Unavailable()
    if exception_type == "modelTimeoutException":
        return errors.UpstreamTimeout()
    return errors.UpstreamFailed()


def _full_passages(count: int) -> list[Passage]:
    """Passages of the size that is reserved for."""
    filler = "x" * (3 * CHUNK_CHARS_MAX)
    return [
        Passage(
            document_id=DocumentId("doc_" + "0" * 26),
            title="x" * PASSAGE_TITLE_CHARS_RESERVED,
            text=filler,
            score=0.0,
            start=0,
            end=0,
        )
        for _ in range(count)
    ]


def _delta_of(frame: Frame) -> str:
    """The text of a delta; none where it is of another kind (reasoning, a citation)."""
    try:
        text = orjson.loads(frame.payload)["delta"].get("text", "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise errors.UpstreamRubbish from None
    if not isinstance(text, str):
        raise errors.UpstreamRubbish
    return text


def _text_of(document: Any) -> str:
    try:
        blocks = document["output"]["message"]["content"]
        return "".join(block.get("text", "") for block in blocks)
    except (KeyError, TypeError, AttributeError):
        raise errors.UpstreamRubbish from None
