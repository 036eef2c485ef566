"""Anybody may ask whether a worker can serve; the database is asked once a second."""

import asyncio

import pytest

from tenantry.domain.errors import Unavailable
from tenantry.entrypoints.http.readiness import READY_FOR_S, Readiness


class _Database:
    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.now_s = 0.0

    async def check(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("The database is away.")


def test_a_flood_of_questions_is_one_to_the_database() -> None:
    database = _Database()

    async def ask() -> None:
        ready = Readiness(database.check, lambda: database.now_s)
        await asyncio.gather(*(ready() for _ in range(100)))
        assert database.asked == 1
        database.now_s += READY_FOR_S
        await ready()
        assert database.asked == 2

    asyncio.run(ask())


def test_an_outage_is_told_to_each_and_forgotten_when_it_is_over() -> None:
    database = _Database()
    database.away = True

    async def ask() -> None:
        ready = Readiness(database.check, lambda: database.now_s)
        said = await asyncio.gather(*(ready() for _ in range(10)), return_exceptions=True)
        assert [str(each) for each in said] == ["The database is away."] * 10
        database.away = False
        with pytest.raises(Unavailable):
            await ready()
        database.now_s += READY_FOR_S
        await ready()

    asyncio.run(ask())
