"""Time and randomness, passed in so that a simulation can replay a seed."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


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
