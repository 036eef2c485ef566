"""Questions in a session: what was said before goes into the prompt, and the answer is kept.

Owns: a turn from the holding of its session to its end. Does not own: retrieval, admission, the
model's call (`application/grounded.py`), nor where sessions rest (`application/sessions.py`).
Invariant: a turn ends by being kept or released before its caller sees the end of its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenantry.application.answers import Answer, Answers, AnswerStream
from tenantry.application.asking import Question, Search
from tenantry.application.context import RequestContext
from tenantry.application.grounded import GUARDRAIL_INTERVENED
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.sessions import Sessions, SessionTurn
from tenantry.domain.chunk import Passage
from tenantry.domain.citing import citing_of
from tenantry.domain.conversation import Conversation
from tenantry.domain.prompt import answer_prompt
from tenantry.domain.template import template_prompt
from tenantry.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class TurnCall:
    """A turn as its wire understood it. `members` go into the body of Converse as they are."""

    search: Search
    model: str
    session_id: str | None = None
    template: str | None = None
    members: Mapping[str, Any] = field(default_factory=dict)


class Conversations:
    """One for each worker."""

    def __init__(
        self, answers: Answers, sessions: Sessions, tasks: OwnedTasks, clock: Clock
    ) -> None:
        self._answers = answers
        self._sessions = sessions
        self._tasks = tasks
        self._clock = clock

    async def answer(self, ctx: RequestContext, call: TurnCall) -> tuple[str, Answer]:
        """The session's id and a whole answer, settled and kept."""
        call.search.check()
        return await asyncio.shield(self._tasks.start(self._answer(ctx, call), name="turn"))

    async def stream(self, ctx: RequestContext, call: TurnCall) -> tuple[str, AnswerStream]:
        """The session's id and an answer under way; the turn has ended once `told` returns."""
        call.search.check()
        work = self._tasks.start(self._stream(ctx, call), name="turn-stream")
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_leave)
            raise

    async def _answer(self, ctx: RequestContext, call: TurnCall) -> tuple[str, Answer]:
        turn = await self._sessions.turn(ctx, call.session_id)
        try:
            answer = await self._answers.ask(ctx, self._question(call, turn.said))
        except BaseException:
            await turn.release()
            raise
        await turn.tell()
        blocked = answer.stop_reason == GUARDRAIL_INTERVENED
        await _end(turn, call, None if blocked else answer.answer, answer.passages)
        return turn.session_id, answer

    async def _stream(self, ctx: RequestContext, call: TurnCall) -> tuple[str, AnswerStream]:
        turn = await self._sessions.turn(ctx, call.session_id)

        async def then(text: str | None, passages: Sequence[Passage]) -> None:
            await _end(turn, call, text, passages)

        try:
            stream = await self._answers.ask_stream(ctx, self._question(call, turn.said), then)
        except BaseException:
            await turn.release()
            raise
        await turn.tell()
        return turn.session_id, stream

    def _question(self, call: TurnCall, said: Conversation) -> Question:
        now = f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC"

        def compose(passages: Sequence[Passage]) -> Mapping[str, Any]:
            query = call.search.query
            if call.template is None:
                prompt = answer_prompt(query, passages)
            else:
                prompt = template_prompt(call.template, query, passages, now)
            return {
                **call.members,
                "system": [{"text": prompt.system}],
                "messages": [
                    *said.messages(),
                    {"role": "user", "content": [{"text": prompt.user}]},
                ],
            }

        return Question(call.search, call.model, compose)


def _leave(work: asyncio.Task[tuple[str, AnswerStream]]) -> None:
    """Nobody will read the answer that has begun."""
    if not work.cancelled() and work.exception() is None:
        work.result()[1].leave()


async def _end(
    turn: SessionTurn, call: TurnCall, text: str | None, passages: Sequence[Passage]
) -> None:
    said = "" if text is None else _shown(text, passages).strip()
    if said:
        await turn.keep(call.search.query, said)
    else:
        await turn.release()


def _shown(text: str, passages: Sequence[Passage]) -> str:
    """Without its marks: their numbers mean the passages of one turn alone."""
    citing = citing_of(passages)
    parts = [*citing.feed(text), *citing.finish()]
    return "".join(part for part in parts if isinstance(part, str))
