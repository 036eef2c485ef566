"""Answers from a tenant's documents, as texts with their citations.

Owns: what an answer is to whoever asked for nothing else. Does not own: its calls
(`application/grounded.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from tenantry.application.asking import Question
from tenantry.application.context import RequestContext
from tenantry.application.grounded import Grounded, GroundedStream, Then
from tenantry.application.hearing import stop_reason_of, text_of_delta
from tenantry.application.streaming import OwnFrame
from tenantry.domain import errors
from tenantry.domain.chunk import Passage
from tenantry.domain.eventstream import Frame
from tenantry.domain.prompt import Citation, citations_in
from tenantry.domain.usage import Usage


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

    def __init__(self, grounded: Grounded) -> None:
        self._grounded = grounded

    async def ask(self, ctx: RequestContext, asked: Question) -> Answer:
        """A whole answer, settled."""
        found = await self._grounded.complete(ctx, asked)
        text, done = found.text, found.done
        return Answer(
            text,
            citations_in(text, found.passages),
            done.usage,
            done.charge,
            done.currency,
            done.request_id,
            done.max_tokens,
            found.passages,
            found.stop_reason,
        )

    async def ask_stream(
        self, ctx: RequestContext, asked: Question, then: Then | None = None
    ) -> AnswerStream:
        """An answer under way, once the model has begun to answer. `then` is told whether or not
        anybody listens, after the settlement; `AnswerStream.told` waits for it."""
        return AnswerStream(await self._grounded.stream(ctx, asked, then))


class AnswerStream:
    """Texts as the model writes them; `result` is set when they have ended."""

    def __init__(self, streamed: GroundedStream) -> None:
        self._streamed = streamed
        self.passages = streamed.passages
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
                raise _broken(frame)
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
        await self._streamed.told()

    def leave(self) -> None:
        self._streamed.leave()


def _broken(frame: Frame) -> errors.TenantryError:
    if isinstance(frame, OwnFrame) and frame.exception_type == "serviceUnavailableException":
        return errors.Unavailable()
    if frame.exception_type == "modelTimeoutException":
        return errors.UpstreamTimeout()
    return errors.UpstreamFailed()
