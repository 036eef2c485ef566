"""A turn that has ended holds nothing of its conversation."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from tests.support.held import held_of

from tenantry.application.sessions import SessionTurn


@dataclass
class Index:
    """Renews and releases, and notes both."""

    calls: list[str] = field(default_factory=list)

    async def beat(self, *_: Any, **__: Any) -> bool:
        self.calls.append("beat")
        return True

    async def release(self, *_: Any) -> None:
        self.calls.append("release")


@dataclass
class Held:
    index: Index = field(default_factory=Index)


@pytest.mark.parametrize("tenant", ["acme", "bolt"])
def test_a_released_turn_is_let_go_without_the_collector(tenant: str) -> None:
    async def walk() -> list[str]:
        sessions = Held()
        turn = SessionTurn(cast(Any, sessions), cast(Any, tenant), "holder")
        turn.held(())
        await asyncio.sleep(0)  # the lease's task has begun
        await turn.release()
        await asyncio.sleep(0)  # and has ended
        return sessions.index.calls

    with held_of(SessionTurn) as held:
        assert asyncio.run(walk()) == ["release"]
        assert not held()
