"""A round of background work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Round:
    """One piece of background work and the pause after it."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[object]]
