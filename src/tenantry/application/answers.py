"""Answers from a tenant's documents: steps 3 to 7 for one request of several calls.

One reservation covers the query's embedding, a reranking where that was asked for, and the model,
over `top_k` passages of full size; the passages that then go into the prompt are as many as fit
into what was reserved.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.asking import Question
from tenantry.application.attempts import attempts
from tenantry.application.calls import ChatCall, ChatOperation
from tenantry.application.context import RequestContext
from tenantry.application.finding import Finder, PlannedSearch, calls_of
from tenantry.application.gate import Gate
from tenantry.application.hearing import Heard, stop_reason_of, text_of_delta
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import PlannedChat, Planning
from tenantry.application.streaming import StreamedAnswer, StreamLimits
from tenantry.domain import errors
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.chat_request import Clamp
from tenantry.domain.chunk import CHUNK_BYTES_MAX, Passage
from tenantry.domain.ids import DocumentId
from tenantry.domain.prompt import TITLE_BYTES_MAX, Citation, citations_in
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.clock import Clock
from tenantry.ports.model import ModelPort

# Told once, within the work that owns the answer: its whole text, or None where there is none, and
# the passages that it was given.
Then = Callable[[str | None, Sequence[Passage]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    answer: str
    citations: Sequence[Citation]
    usage: Usage
    charge: Decimal | None  # None: not known yet, and never shown as 0
    currency: str
    request_id: UUID
    max_tokens: int | None = None  # the model's output limit, where it was lowered
    passages: Sequence[Passage] = ()  # what the model was given, by the numbers that it cites
    stop_reason: str = ""  # Converse's


class Answers:
    """One for each worker."""

    def __init__(
        self,
        gate: Gate,
        planning: Planning,
        finder: Finder,
        calls: ModelCalls,
        model: ModelPort,
        tasks: OwnedTasks,
        clock: Clock,
        limits: StreamLimits,
    ) -> None:
        self._gate = gate
        self._planning = planning
        self._finder = finder
        self._calls = calls
        self._model = model
        self._tasks = tasks
        self._clock = clock
        self._limits = limits

    async def ask(self, ctx: RequestContext, asked: Question) -> Answer:
        """A whole answer, settled."""
        asked.search.check()
        return await asyncio.shield(self._tasks.start(self._answer(ctx, asked), name="answer"))

    async def ask_stream(
        self, ctx: RequestContext, asked: Question, then: Then | None = None
    ) -> AnswerStream:
        """An answer under way, once the model has begun to answer. `then` is told whether or not
        anybody listens, after the settlement; `AnswerStream.told` waits for it."""
        asked.search.check()
        found: list[Passage] = []
        streamed = StreamedAnswer(
            ctx.request_id,
            _chat(ctx.principal, asked, "ConverseStream", ()),
            self._clock,
            self._limits,
            call=calls_of(asked.search),
            recorded=ctx.idempotency is not None,
        )
        work = self._tasks.start(
            self._stream_then(ctx, asked, streamed, found, then), name="answer-stream"
        )
        try:
            await asyncio.shield(streamed.started)
        except asyncio.CancelledError:
            streamed.leave()
            raise
        return AnswerStream(streamed, found, work)

    async def _open(
        self, ctx: RequestContext, asked: Question, operation: ChatOperation
    ) -> tuple[AdmittedRequest, PlannedSearch, PlannedChat]:
        """Admits all calls; returns the plans of search and chat."""
        catalogue = await self._planning.catalogue()
        spaces = await self._finder.spaces(ctx.principal)
        full = _full_passages(asked.search.top_k)
        planned: list[tuple[PlannedSearch, PlannedChat]] = []

        def planner(principal: Principal, most: int | None) -> list[PlannedCall]:
            finding = self._finder.plan(principal, catalogue, asked.search, spaces)
            chat = _chat(principal, asked, operation, full)
            clamp = ctx.clamp(principal, most)
            answering = self._planning.chat(principal, chat, catalogue, None, clamp)
            planned[:] = [(finding, answering)]
            return [*finding.calls, answering.planned, *finding.spare_calls]

        request = await self._gate.open(ctx, planner)
        return request, *planned[0]

    async def _fitting(
        self,
        request: AdmittedRequest,
        asked: Question,
        reserved: PlannedChat,
        passages: list[Passage],
    ) -> PlannedChat:
        """The chat with as many passages, best first, as the reservation holds."""
        catalogue: Catalogue = await self._planning.catalogue()
        room = reserved.planned.bound.input_tokens
        clamp = Clamp(reserved.max_tokens is not None, reserved.max_tokens)
        operation = reserved.chat.operation
        while True:
            asked_now = _chat(request.principal, asked, operation, passages)
            chat = self._planning.chat(request.principal, asked_now, catalogue, None, clamp)
            if chat.planned.bound.input_tokens <= room or not passages:
                return chat
            passages.pop()

    async def _answer(self, ctx: RequestContext, asked: Question) -> Answer:
        request, finding, reserved = await self._open(ctx, asked, "Converse")
        number = calls_of(asked.search)
        try:
            passages = await self._finder.find(ctx, request, finding, asked.search)
            chat = await self._fitting(request, asked, reserved, passages)
            await request.begin(chat.planned, number, 1)
            reply = await self._calls.plain(request, number, chat)
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
            passages,
            str(reply.document.get("stopReason", "")),
        )

    async def _stream_then(
        self,
        ctx: RequestContext,
        asked: Question,
        streamed: StreamedAnswer,
        found: list[Passage],
        then: Then | None,
    ) -> None:
        text: str | None = None
        try:
            text = await self._stream(ctx, asked, streamed, found)
        finally:
            if then is not None:
                await then(text, found)

    async def _stream(
        self,
        ctx: RequestContext,
        asked: Question,
        streamed: StreamedAnswer,
        found: list[Passage],
    ) -> str | None:
        """The whole text, where the model came to its end, nobody intervened, and it is settled."""
        heard: Heard | None = None
        with streamed.told():
            request, finding, reserved = await self._open(ctx, asked, "ConverseStream")
            streamed.max_tokens = reserved.max_tokens
            number = calls_of(asked.search)
            try:
                found[:] = await self._finder.find(ctx, request, finding, asked.search)
                chat = await self._fitting(request, asked, reserved, found)
                await request.begin(chat.planned, number, 1)
                leave = self._planning.departure(request.principal, ctx.request_id, number, chat)
                reply, attempt = await attempts(
                    request, chat.planned, number, self._model.stream, leave.attempt
                )
            except BaseException:
                await request.settle()
                raise
            heard = Heard(reply)
            await streamed.run(request, chat.planned, heard, attempt)
        whole = heard.whole if heard is not None and streamed.settled else None
        return None if whole is None or whole[1] == "guardrail_intervened" else whole[0]


def _chat(
    principal: Principal, asked: Question, operation: ChatOperation, passages: Sequence[Passage]
) -> ChatCall:
    model = asked.model or principal.tenant.plan.default_model
    return ChatCall(operation, model, asked.compose(passages))


class AnswerStream:
    """Texts as the model writes them; `result` is set when they have ended."""

    def __init__(
        self, streamed: StreamedAnswer, passages: Sequence[Passage], work: asyncio.Task[None]
    ) -> None:
        self._streamed = streamed
        self._work = work
        self.passages = passages
        self.result: Answer | None = None
        self.max_tokens = streamed.max_tokens

    @property
    async def texts(self) -> AsyncIterator[str]:
        """Ends once `then` has been told. Raises `UpstreamFailed` or `Unavailable` where the
        answer breaks off, then too."""
        parts: list[str] = []
        stop_reason = ""
        async for frame in self._streamed.frames:
            if frame.is_failure:
                await self.told()
                raise _broken(frame.exception_type)
            if frame.event_type == "contentBlockDelta":
                text = text_of_delta(frame)
                parts.append(text)
                yield text
            elif frame.event_type == "messageStop":
                stop_reason = stop_reason_of(frame)
        await self.told()
        if not stop_reason:
            raise errors.UpstreamRubbish("The model's answer ended before it was complete.")
        answer = "".join(parts)
        self.result = Answer(
            answer,
            citations_in(answer, self.passages),
            self._streamed.usage,
            self._streamed.charge,
            self._streamed.currency,
            self._streamed.request_id,
            self.max_tokens,
            self.passages,
            stop_reason,
        )

    async def told(self) -> None:
        """Returns once `then` has been told, whatever became of the answer."""
        await asyncio.wait([self._work])

    def leave(self) -> None:
        self._streamed.leave()


def _broken(exception_type: str | None) -> errors.TenantryError:
    if exception_type == "serviceUnavailableException":
        return errors.Unavailable()
    if exception_type == "modelTimeoutException":
        return errors.UpstreamTimeout()
    return errors.UpstreamFailed()


def _full_passages(count: int) -> list[Passage]:
    """Passages of the size that is reserved for: no chunk and no fence takes more."""
    filler = "x" * CHUNK_BYTES_MAX
    return [
        Passage(
            document_id=DocumentId("doc_" + "0" * 26),
            title="x" * TITLE_BYTES_MAX,
            text=filler,
            score=0.0,
            start=0,
            end=0,
        )
        for _ in range(count)
    ]


def _text_of(document: Any) -> str:
    try:
        blocks = document["output"]["message"]["content"]
        return "".join(block.get("text", "") for block in blocks)
    except (KeyError, TypeError, AttributeError):
        raise errors.UpstreamRubbish from None
