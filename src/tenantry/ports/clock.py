"""Time and randomness, passed in so that a simulation can replay a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tenantry.ports.outbox import Notice


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, UTC. Never decides money: that is the database's clock."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed point; never goes back."""
        ...

    def random(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant of the database's clock, and the machine's monotonic time that it was at.

    `within_s`: by how much the two may be apart, half of what the question took.
    """

    at: datetime
    monotonic: float
    within_s: float


class DatabaseTime(Protocol):
    """The clock by which money is decided. Both raise `Unavailable`."""

    async def read(self, monotonic: Callable[[], float]) -> Moment: ...

    async def report(self, notice: Notice) -> bool:
        """Puts a notice into the outbox. False: it was there before."""
        ...
