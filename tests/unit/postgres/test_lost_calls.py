"""Items of lost sessions: each comes back once, whatever breaks while they are looked for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tenantry.adapters.postgres.lost_calls import ITEMS_MAX, LostCalls, Session

FIRST, SECOND = (Session(pid, datetime(2026, 12, 1, tzinfo=UTC)) for pid in (7, 8))


class Server:
    """Whose sessions are known by their numbers, and which may be away."""

    def __init__(self, *pids: int) -> None:
        self.pids = set(pids)
        self.away = False

    async def fetch(self, _: str, pid: int, began: datetime, timeout: float) -> list[bool]:
        if self.away:
            raise ConnectionResetError
        return [True] * (pid in self.pids)


def test_each_comes_back_once_its_session_has_ended() -> None:
    async def body() -> None:
        lost: LostCalls[str] = LostCalls()
        lost.add(FIRST, ["a"])
        lost.add(SECOND, ["b", "c"])
        server = Server(FIRST.pid)
        assert await lost.over(server, 1.0) == ()
        assert await lost.over(server, 1.0) == ["b", "c"]
        server.away = True
        with pytest.raises(ConnectionResetError):
            await lost.over(server, 1.0)
        server.away = False
        server.pids.clear()
        assert await lost.over(server, 1.0) == ["a"]
        assert not lost

    asyncio.run(body())


def test_they_are_bounded() -> None:
    lost: LostCalls[int] = LostCalls()
    lost.add(FIRST, [1])
    lost.add(SECOND, list(range(ITEMS_MAX)))
    assert asyncio.run(lost.over(Server(), 1.0)) == list(range(ITEMS_MAX))
    assert not lost
    lost.add(FIRST, [])
    assert not lost
