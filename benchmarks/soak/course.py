"""How long a soak takes, how much it asks, and by which seed."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import Final

MINUTES: Final = 60.0
REQUESTS_PER_S: Final = 10.0
MISHAP_EVERY_S: Final = 15.0  # in the mean
MISHAPS_MIN: Final = 12  # of a soak that is shorter than these would take
QUIET_EVERY_S: Final = 240.0
# Every answer comes by then: two attempts of two calls, each at its longest (`stage.SETTINGS`),
# with a database that is being recovered beside them.
ANSWER_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Course:
    minutes: float
    seed: int
    requests_per_s: float  # of all tenants together

    @property
    def duration_s(self) -> float:
        return self.minutes * 60

    @property
    def mishap_every_s(self) -> float:
        return min(MISHAP_EVERY_S, self.duration_s / MISHAPS_MIN)

    @property
    def dying_ends_s(self) -> float:
        """Processes are killed and rolled before, never after: so memory can be told."""
        return self.duration_s / 2


def from_environment() -> Course:
    """`SOAK_MINUTES`, `SOAK_SEED`, `SOAK_RATE` (requests a second). Raises `ValueError`."""

    def number(name: str, otherwise: float) -> float:
        value = float(os.environ.get(name) or otherwise)
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be more than 0")
        return value

    seed = os.environ.get("SOAK_SEED")
    return Course(
        minutes=number("SOAK_MINUTES", MINUTES),
        seed=int(seed) if seed else secrets.randbelow(10**6),
        requests_per_s=number("SOAK_RATE", REQUESTS_PER_S),
    )
