"""The rounds that keep the roll-ups of the ledger.

What is rolled up when changes no answer, only how fast it comes: usage is read from the roll-ups as
far as they go, and from the ledger beyond.
"""

from __future__ import annotations

from datetime import datetime

from tenantry.application.round import Round
from tenantry.ports.rollups import Rollups

ROLL_UP_EVERY_S = 60.0
LOOK_BACK_EVERY_S = 300.0  # so two months take a day and an hour, the latest six hours 5 minutes
HOURS_AT_ONCE = 6  # in one transaction; one hour is the usual
STEPS_MAX = 1_000  # of one round: eight months that nobody had rolled up
LATE_HOURS_MAX = 1_000  # of one round; what is left comes with the next


async def roll_up(rollups: Rollups) -> int:
    """Rolls up all that is over, and anew what has changed; returns how many steps it took."""
    steps = 0
    while steps < STEPS_MAX and await rollups.advance(HOURS_AT_ONCE):
        steps += 1
    return steps + await rollups.renew(LATE_HOURS_MAX)


class LookingBack:
    """Goes back through the hours that are rolled up, a few at a time, and then begins anew."""

    def __init__(self, rollups: Rollups) -> None:
        self._rollups = rollups
        self._before: datetime | None = None

    async def go_on(self) -> None:
        self._before = await self._rollups.look_back(self._before, HOURS_AT_ONCE)


def rollups_rounds(rollups: Rollups) -> list[Round]:
    async def work() -> object:
        return await roll_up(rollups)

    return [
        Round("roll-up", ROLL_UP_EVERY_S, work),
        Round("roll-up-check", LOOK_BACK_EVERY_S, LookingBack(rollups).go_on),
    ]
