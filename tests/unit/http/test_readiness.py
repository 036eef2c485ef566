"""Anybody may ask whether a worker can serve; the database is asked once a second, and not for
longer than who asks can wait."""

import asyncio
import logging

import pytest

from tenantry.domain.errors import Unavailable
from tenantry.entrypoints.http import readiness
from tenantry.entrypoints.http.readiness import HOLDS_S, SharedQuestion


class _Database:
    def __init__(self) -> None:
        self.asked = 0
        self.refuses: Exception | None = None
        self.hangs = asyncio.Event()
        self.lets_go = asyncio.Event()  # of a question that was given up
        self.lets_go.set()
        self.now_s = 0.0

    async def ask(self) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        if self.hangs.is_set():
            try:
                await asyncio.Event().wait()
            finally:
                await self.lets_go.wait()
        if self.refuses is not None:
            raise self.refuses
        return self.asked

    def question(self) -> SharedQuestion[int]:
        return SharedQuestion(self.ask, lambda: self.now_s)


async def _refused(question: SharedQuestion[int]) -> str:
    with pytest.raises(Unavailable) as refusal:
        await question()
    return refusal.value.message


def test_a_flood_of_questions_is_one_to_the_database() -> None:
    async def run() -> None:
        database = _Database()
        question = database.question()
        assert set(await asyncio.gather(*(question() for _ in range(100)))) == {1}
        database.now_s += HOLDS_S
        assert await question() == 2

    asyncio.run(run())


def test_an_outage_is_told_to_each_and_forgotten_when_it_is_over() -> None:
    async def run() -> None:
        database = _Database()
        database.refuses = Unavailable("The database is away.")
        question = database.question()
        said = await asyncio.gather(*(question() for _ in range(10)), return_exceptions=True)
        assert [str(each) for each in said] == ["The database is away."] * 10
        database.refuses = None
        await _refused(question)
        database.now_s += HOLDS_S
        assert await question() == 2

    asyncio.run(run())


def test_a_database_that_hangs_is_an_outage_to_each_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One question at a time, though it takes the connection long to notice that it is given up."""
    monkeypatch.setattr(readiness, "ANSWER_S", 0.05)

    async def run() -> None:
        database = _Database()
        database.hangs.set()
        database.lets_go.clear()
        question = database.question()
        said = await asyncio.gather(*(_refused(question) for _ in range(10)))
        assert set(said) == {"There was no answer within 0.05 s."}
        database.now_s += HOLDS_S
        await _refused(question)
        assert database.asked == 1
        database.hangs.clear()
        database.lets_go.set()
        await asyncio.sleep(0.01)
        database.now_s += HOLDS_S
        assert await question() == 2

    asyncio.run(asyncio.wait_for(run(), 20))


def test_who_leaves_takes_the_answer_from_nobody() -> None:
    async def run() -> None:
        question = _Database().question()
        waiting = [asyncio.create_task(question()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        assert await asyncio.gather(*waiting[1:]) == [1, 1]

    asyncio.run(run())


def test_a_fault_of_ours_is_an_outage_too_and_is_logged_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        database = _Database()
        database.refuses = KeyError("a tenant's words")
        await _refused(database.question())

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    (said,) = caplog.messages
    assert "KeyError" in said
    assert "words" not in said


def test_closing_tells_whoever_waits() -> None:
    async def run() -> None:
        database = _Database()
        database.hangs.set()
        question = database.question()
        waiting = asyncio.create_task(_refused(question))
        await asyncio.sleep(0.01)
        await question.close()
        assert await waiting == "The worker is closing."

    asyncio.run(asyncio.wait_for(run(), 20))
