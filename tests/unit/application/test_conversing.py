"""A turn of a session: what was said goes into the prompt, what comes is kept, once and whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest
from tests.support.answers import Shelf, answers, passage
from tests.support.core import TITAN, plan, principal
from tests.support.scripted import (
    Core,
    Script,
    ScriptedStream,
    context,
    converse_reply,
    delta,
    event,
    metadata,
    reply,
)
from tests.support.skipping import run

from tenantry.application.asking import Search
from tenantry.application.conversing import Conversations, TurnCall
from tenantry.application.sessions import Sessions
from tenantry.application.streaming import FRAMES_BUFFERED_MAX
from tenantry.domain import errors
from tenantry.domain.conversation import Conversation, Turn
from tenantry.ports.admission import Refused
from tenantry.ports.model import StreamEnd, StreamEndKind

PLAN = plan(default_model="claude", embedding_model=TITAN.id, max_tokens_default=100)
ACME = principal("acme", PLAN)
EMBEDDED = reply({"embedding": [1.0] * 512, "inputTextTokenCount": 4})
SAID = Conversation((Turn("Who?", "A tenant."),))


@dataclass
class Diary:
    """One session, and what became of its turns."""

    said: Conversation = SAID
    session_id: str = "ses_1"
    became: list[Any] = field(default_factory=list)
    told: bool = False
    asked: list[str | None] = field(default_factory=list)

    async def turn(self, ctx: Any, session_id: str | None) -> Diary:
        self.asked.append(session_id)
        return self

    async def keep(self, question: str, answer: str) -> None:
        self.became.append((question, answer))

    async def release(self) -> None:
        self.became.append("released")

    async def tell(self) -> None:
        self.told = True


def talking(
    *script: Script,
    diary: Diary | None = None,
    given: Sequence[str] = ("A tenant rents.", "It pays."),
) -> tuple[Core, Diary, Conversations]:
    shelf = Shelf({"tnt_acme": [passage(text) for text in given]})
    worker, made = answers(shelf, *script)
    diary = diary or Diary()
    sessions = cast(Sessions, diary)
    return worker, diary, Conversations(made, sessions, worker.tasks, worker.clock)


def turn(**more: Any) -> TurnCall:
    return TurnCall(Search("What does it do?", 3), "claude", "ses_1", **more)


def stream(*texts: str, reason: str = "end_turn") -> ScriptedStream:
    return ScriptedStream(
        [*map(delta, texts), event("messageStop", {"stopReason": reason}), metadata()]
    )


def body_of(worker: Core) -> Any:
    return orjson.loads(worker.model.attempts[-1].body)


def test_an_answer_is_kept_without_its_numbers() -> None:
    worker, diary, made = talking(EMBEDDED, converse_reply("It rents [1]. It pays. [2]"))
    session_id, answer = run(made.answer(context(ACME), turn()))
    assert (session_id, answer.answer) == ("ses_1", "It rents [1]. It pays. [2]")
    assert diary.became == [("What does it do?", "It rents. It pays.")]
    assert diary.told
    body = body_of(worker)
    texts = [message["content"][0]["text"] for message in body["messages"]]
    assert texts[:2] == ["Who?", "A tenant."]
    assert "<question>\nWhat does it do?" in texts[2]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("streams", [False, True])
def test_what_is_kept_is_what_was_shown(streams: bool) -> None:
    """A number that was not given, and one that a passage has so, stand in both."""
    text = "Use rows[2] [1], as of [7]."
    said = stream(text) if streams else converse_reply(text)
    _, diary, made = talking(EMBEDDED, said, given=["rows[2] is the second", "It pays."])

    async def go() -> None:
        if not streams:
            await made.answer(context(ACME), turn())
            return
        _, answering = await made.stream(context(ACME), turn())
        _ = [text async for text in answering.texts]

    run(go())
    assert diary.became == [("What does it do?", "Use rows[2], as of [7].")]


def test_what_was_said_is_reserved_for() -> None:
    charges = []
    for said in (Conversation(), SAID, Conversation((Turn("x" * 500, "y" * 500),))):
        worker, _, made = talking(EMBEDDED, converse_reply("It."), diary=Diary(said))
        run(made.answer(context(ACME), turn()))
        charges.append(worker.admission.reservations[0].worst_tokens)
    assert charges == sorted(set(charges))
    assert charges[2] - charges[0] >= 1_000


def test_members_and_a_template_go_into_the_call() -> None:
    members = {"inferenceConfig": {"maxTokens": 7}, "performanceConfig": {"latency": "standard"}}
    template = "In verse, at $current_time$: $search_results$"
    worker, _, made = talking(EMBEDDED, converse_reply("It."))
    run(made.answer(context(ACME), turn(template=template, members=members)))
    body = body_of(worker)
    assert body["inferenceConfig"]["maxTokens"] == 7
    assert body["performanceConfig"] == {"latency": "standard"}
    text = body["messages"][-1]["content"][0]["text"]
    assert text.startswith(f"In verse, at {worker.clock.now():%Y-%m-%d %H:%M:%S} UTC: <passage")


def test_a_refused_turn_is_told_to_nobody() -> None:
    worker, diary, made = talking()
    worker.admission.verdicts.append(Refused("budget", limit="monthly_budget"))
    with pytest.raises(errors.BudgetExceeded):
        run(made.answer(context(ACME), turn()))
    assert (diary.became, diary.told) == (["released"], False)


def test_an_answer_that_was_blocked_is_not_kept() -> None:
    blocked = converse_reply("Sorry.")
    document = {**blocked.document, "stopReason": "guardrail_intervened"}
    _, diary, made = talking(EMBEDDED, reply(document))
    _, answer = run(made.answer(context(ACME), turn()))
    assert answer.stop_reason == "guardrail_intervened"
    assert diary.became == ["released"]


def test_a_stream_is_kept_before_it_ends_for_its_reader() -> None:
    _, diary, made = talking(EMBEDDED, stream("It rents", " [1", "]."))

    async def go() -> None:
        session_id, answering = await made.stream(context(ACME), turn())
        assert session_id == "ses_1"
        assert "".join([text async for text in answering.texts]) == "It rents [1]."
        assert diary.became == [("What does it do?", "It rents.")]
        assert answering.result is not None and answering.result.stop_reason == "end_turn"
        assert [one.text for one in answering.result.citations] == ["A tenant rents."]

    run(go())


def test_a_stream_whose_reader_left_is_kept_all_the_same() -> None:
    _, diary, made = talking(EMBEDDED, stream("It ", "rents."))

    async def go() -> None:
        _, answering = await made.stream(context(ACME), turn())
        answering.leave()
        await answering.told()
        assert diary.became == [("What does it do?", "It rents.")]

    run(go())


def test_a_reader_that_left_before_the_first_word_holds_nothing_up() -> None:
    many = [f"{n} " for n in range(FRAMES_BUFFERED_MAX + 10)]
    _, diary, made = talking(EMBEDDED, stream(*many))

    async def go() -> None:
        before = asyncio.get_running_loop().time()
        asking = asyncio.create_task(made.stream(context(ACME), turn()))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(1)
        assert diary.became == [("What does it do?", "".join(many).strip())]
        assert asyncio.get_running_loop().time() - before < 30, "it waited for its reader"

    run(go())


@pytest.mark.parametrize(
    ("script", "became"),
    [
        (ScriptedStream([delta("It ")], StreamEnd(StreamEndKind.CUT)), "released"),
        (ScriptedStream([delta("It "), metadata()]), "released"),
        (stream("Sorry.", reason="guardrail_intervened"), "released"),
        (stream(), "released"),
    ],
)
def test_a_stream_without_an_answer_keeps_nothing(script: Any, became: str) -> None:
    _, diary, made = talking(EMBEDDED, script)

    async def go() -> None:
        _, answering = await made.stream(context(ACME), turn())
        with contextlib.suppress(errors.UpstreamFailed):
            _ = [text async for text in answering.texts]
        assert diary.became == [became]  # who asks again at once finds the session free

    run(go())


def test_a_stream_that_was_refused_is_told_to_nobody() -> None:
    worker, diary, made = talking()
    worker.admission.verdicts.append(Refused("budget", limit="monthly_budget"))
    with pytest.raises(errors.BudgetExceeded):
        run(made.stream(context(ACME), turn()))
    assert (set(diary.became), diary.told) == ({"released"}, False)
