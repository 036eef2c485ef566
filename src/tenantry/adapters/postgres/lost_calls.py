"""What a lost session may still commit: nobody gives it back before that session has ended.

A call that its worker has given up is not over: the server may be slow to read it, and commit it
when the worker's next session has long looked for it in vain. So the next session ends the lost
one, and what it was asked for is given back once the server has no such session any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

ITEMS_MAX = 8_192  # of all lost sessions; the deadline of an attempt ends what is let go
_OURSELVES = (
    "SELECT pid, backend_start FROM pg_catalog.pg_stat_activity"
    " WHERE pid = pg_catalog.pg_backend_pid()"
)
_END = (
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
    " WHERE pid = $1 AND backend_start = $2"
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """One process of the server: its number is used again, never with the same start."""

    pid: int
    began: datetime


async def session_of(connection: Any, timeout_s: float) -> Session:
    row = await connection.fetchrow(_OURSELVES, timeout=timeout_s)
    return Session(row["pid"], row["backend_start"])


class LostCalls(Generic[T]):
    """Items of calls that broke, by the session that they were sent over; bounded."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Session, Sequence[T]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, session: Session, items: Sequence[T]) -> None:
        """The oldest are let go where there are too many."""
        if items:
            self._waiting.append((session, items))
        while sum(len(of) for _, of in self._waiting) > ITEMS_MAX:
            self._waiting.popleft()

    async def over(self, connection: Any, timeout_s: float) -> Sequence[T]:
        """Ends the lost session that waits longest: its items once the server no longer has it,
        until then none, and the next one's turn."""
        session, items = self._waiting[0]
        is_there = await connection.fetch(_END, session.pid, session.began, timeout=timeout_s)
        self._waiting.popleft()
        if not is_there:
            return items
        self._waiting.append((session, items))
        return ()
