"""A model's call that is given passages of a tenant's documents: steps 3 to 7 for one request of
several calls.

One reservation covers the query's embedding, a reranking where that was asked for, and the model,
over `top_k` passages of full size; the passages that then go into the prompt are as many as fit
into what was reserved. `/v1/answers`, knowledge bases and chats all come this way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.asking import Question
from tenantry.application.attempts import attempts
from tenantry.application.calls import ChatOperation, Completed
from tenantry.application.chat_plans import ChatPlans
from tenantry.application.context import RequestContext
from tenantry.application.finding import Finder, PlannedSearch, calls_of
from tenantry.application.gate import Gate
from tenantry.application.hearing import Heard
from tenantry.application.model_calls import ModelCalls
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import PlannedChat, Planning
from tenantry.application.streaming import StreamedAnswer, StreamLimits
from tenantry.domain.chat_request import Clamp
from tenantry.domain.chunk import CHUNK_BYTES_MAX, Passage
from tenantry.domain.eventstream import Frame
from tenantry.domain.ids import DocumentId
from tenantry.domain.prompt import (
    TITLE_BYTES_MAX,
    Citation,
    FencedPassages,
    citations_in,
    fenced_within,
)
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.clock import Clock
from tenantry.ports.model import ModelPort

BYTES_A_TOKEN: Final = 2  # of UTF-8, at the least: prose has 4 in English, 3 in Chinese
GUARDRAIL_INTERVENED: Final = "guardrail_intervened"

# Told once, within the work that owns the answer: its whole text, or None where there is none, and
# the passages that it was given.
Then = Callable[[str | None, Sequence[Passage]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class GroundedCompleted:
    """A whole answer, settled, and what the model was given, by the numbers that it cites."""

    done: Completed
    document: Mapping[str, Any]  # the body, decoded
    passages: Sequence[Passage]

    @property
    def text(self) -> str:
        """All of its text blocks."""
        blocks = self.document["output"]["message"]["content"]
        return "".join(block.get("text", "") for block in blocks)

    @property
    def stop_reason(self) -> str:
        """Converse's."""
        return str(self.document.get("stopReason", ""))

    @property
    def citations(self) -> list[Citation]:
        """What its text cites."""
        return _cited(self.text, self.stop_reason, self.passages)


class GroundedStream:
    """Implements `calls.Streamed`, of an answer that has begun."""

    def __init__(self, streamed: StreamedAnswer, found: _Found, work: asyncio.Task[None]) -> None:
        self.request_id = streamed.request_id
        self.headers = streamed.headers
        self.currency = streamed.currency
        self.max_tokens = streamed.max_tokens
        self.passages: Sequence[Passage] = found.passages
        self._streamed = streamed
        self._found = found
        self._work = work

    @property
    def frames(self) -> AsyncIterator[Frame]:
        return self._streamed.frames

    @property
    def charge(self) -> Decimal | None:
        return self._streamed.charge

    @property
    def usage(self) -> Usage:
        return self._streamed.usage

    @property
    def citations(self) -> list[Citation]:
        """Of what upstream has said so far: of all of it once `messageStop` was read."""
        heard = self._found.heard
        return [] if heard is None else _cited(heard.text, heard.stop_reason, self.passages)

    async def told(self) -> None:
        """Returns once `then` has been told, whatever became of the answer."""
        await asyncio.wait([self._work])

    def leave(self) -> None:
        self._streamed.leave()


class _Found:
    """What the work of a stream finds on its way, for whoever reads the stream."""

    def __init__(self) -> None:
        self.passages: list[Passage] = []
        self.heard: Heard | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    """An admitted request, and the plans of its search and its chat over passages of full size."""

    request: AdmittedRequest
    finding: PlannedSearch
    reserved: PlannedChat
    salt: str


class Grounded:
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

    async def complete(self, ctx: RequestContext, asked: Question) -> GroundedCompleted:
        """A whole answer, settled. The calls survive their caller's cancellation."""
        asked.search.check()
        return await asyncio.shield(self._tasks.start(self._complete(ctx, asked), name="grounded"))

    async def stream(
        self, ctx: RequestContext, asked: Question, then: Then | None = None
    ) -> GroundedStream:
        """An answer under way, once the model has begun to answer. `then` is told whether or not
        anybody listens, after the settlement; `GroundedStream.told` waits for it."""
        asked.search.check()
        found = _Found()
        streamed = StreamedAnswer(
            ctx.request_id,
            asked.call(ctx.principal, "ConverseStream", ()),
            self._clock,
            self._limits,
            call=calls_of(asked.search),
            recorded=ctx.idempotency is not None,
        )
        work = self._tasks.start(
            self._stream_then(ctx, asked, streamed, found, then), name="grounded-stream"
        )
        try:
            await asyncio.shield(streamed.started)
        except asyncio.CancelledError:
            streamed.leave()
            raise
        return GroundedStream(streamed, found, work)

    async def _open(
        self, ctx: RequestContext, asked: Question, operation: ChatOperation
    ) -> _Opened:
        """Admits all calls."""
        catalogue = await self._planning.catalogue()
        salt = await self._planning.salt(ctx.principal)
        spaces = await self._finder.spaces(ctx.principal)
        full = _full_passages(asked.search.top_k)
        plans = ChatPlans(
            self._planning, lambda who: asked.call(who, operation, full), catalogue, salt
        )
        planned: list[tuple[PlannedSearch, PlannedChat]] = []

        def planner(principal: Principal, most: int | None) -> list[PlannedCall]:
            finding = self._finder.plan(principal, catalogue, asked.search, spaces)
            answering = plans.under(principal, ctx.clamp(principal, most))
            planned[:] = [(finding, answering)]
            return [*finding.calls, answering.planned, *finding.spare_calls]

        request = await self._gate.open(ctx, planner)
        return _Opened(request, *planned[0], salt)

    async def _fitting(
        self, opened: _Opened, asked: Question, passages: list[Passage]
    ) -> PlannedChat:
        """The chat with as many passages, best first, as reservation and window hold."""
        principal, reserved = opened.request.principal, opened.reserved
        catalogue = await self._planning.catalogue()
        room = reserved.planned.bound.input_tokens
        clamp = Clamp(reserved.max_tokens is not None, reserved.max_tokens)

        def chat_over(given: Sequence[Passage]) -> PlannedChat:
            call = asked.call(principal, reserved.chat.operation, given)
            return self._planning.chat(principal, call, catalogue, opened.salt, clamp)

        held = _trim(passages, chat_over(()).planned)
        chat, fit, no_fit = chat_over(held), 0, len(held)
        if chat.planned.bound.input_tokens <= room:
            return chat
        while no_fit - fit > 1:  # fewer passages are fewer tokens
            some = (fit + no_fit) // 2
            if chat_over(held[:some]).planned.bound.input_tokens <= room:
                fit = some
            else:
                no_fit = some
        del passages[fit:]
        return chat_over(held[:fit])

    async def _complete(self, ctx: RequestContext, asked: Question) -> GroundedCompleted:
        opened = await self._open(ctx, asked, "Converse")
        request, number = opened.request, calls_of(asked.search)
        async with request:
            passages = await self._finder.find(ctx, request, opened.finding, asked.search)
            chat = await self._fitting(opened, asked, passages)
            await request.begin(chat.planned, number, 1)
            reply = await self._calls.plain(request, number, chat)
        done = Completed(
            request_id=ctx.request_id,
            body=reply.body,
            headers=reply.headers,
            usage=request.usage,
            charge=request.told_charge,
            currency=request.principal.tenant.currency,
            max_tokens=chat.max_tokens,
        )
        return GroundedCompleted(done, reply.document, passages)

    async def _stream_then(
        self,
        ctx: RequestContext,
        asked: Question,
        streamed: StreamedAnswer,
        found: _Found,
        then: Then | None,
    ) -> None:
        text: str | None = None
        try:
            text = await self._stream(ctx, asked, streamed, found)
        finally:
            if then is not None:
                await then(text, found.passages)

    async def _stream(
        self, ctx: RequestContext, asked: Question, streamed: StreamedAnswer, found: _Found
    ) -> str | None:
        """The whole text, where the model came to its end, nobody intervened, and it is settled."""
        with streamed.told():
            opened = await self._open(ctx, asked, "ConverseStream")
            request, number = opened.request, calls_of(asked.search)
            streamed.max_tokens = opened.reserved.max_tokens
            try:
                passages = await self._finder.find(ctx, request, opened.finding, asked.search)
                found.passages[:] = passages
                chat = await self._fitting(opened, asked, found.passages)
                await request.begin(chat.planned, number, 1)
                leave = self._planning.departure(request.principal, ctx.request_id, number, chat)
                reply, attempt = await attempts(
                    request, chat.planned, number, self._model.stream, leave.attempt
                )
            except BaseException as failure:
                await request.settle_failed(failure)
                raise
            found.heard = Heard(reply)
            await streamed.run(request, chat.planned, found.heard, attempt)
        whole = found.heard.whole if found.heard is not None and streamed.settled else None
        return None if whole is None or whole[1] == GUARDRAIL_INTERVENED else whole[0]


def _trim(passages: list[Passage], bare: PlannedCall) -> FencedPassages:
    """Leaves those that the window holds beside the chat and its answer; they come back fenced.
    What is reserved cannot tell: it ends at the window, where more passages cost nothing more."""
    tokens = bare.resolved.model.window - bare.bound.output_tokens
    room_bytes = BYTES_A_TOKEN * tokens - bare.bound.input_tokens
    held = fenced_within(passages, room_bytes)
    del passages[len(held) :]
    return held


def _cited(text: str, stop_reason: str, passages: Sequence[Passage]) -> list[Citation]:
    """Words of a guardrail's cite nothing, whatever they look like."""
    return [] if stop_reason == GUARDRAIL_INTERVENED else citations_in(text, passages)


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
