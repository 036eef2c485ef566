"""A worker's clock, held to the database's: whatever the machine believes, all agree on the time.

Money is decided by the database's clock alone. What a worker decides by time besides (whether a
signature is fresh, how old an unknown attempt is, which period a query means) it decides by the
same clock, read now and then and carried on by the machine's steady one. A machine whose own
clock is wrong is told of, because other programs on it will be wrong too.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from tenantry.domain.errors import TenantryError
from tenantry.ports.clock import Clock, DatabaseTime, Moment
from tenantry.ports.outbox import PLATFORM, Notice

CHECK_EVERY_S = 60.0
SKEW_MAX_S = 30.0  # a clock that is kept by NTP is within 1 s; Bedrock refuses signatures at 300
SKEW_NOTICE = "platform.clock_skew"
_log = logging.getLogger(__name__)


class CheckedClock:
    """`ports.clock.Clock`; until the first check it is the machine's."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._known: Moment | None = None

    def now(self) -> datetime:
        known = self._known
        if known is None:
            return self._machine.now()
        return known.at + timedelta(seconds=self._machine.monotonic() - known.monotonic)

    def monotonic(self) -> float:
        return self._machine.monotonic()

    def random(self, count: int) -> bytes:
        return self._machine.random(count)

    def set(self, moment: Moment) -> None:
        """From now on the time is counted from this moment."""
        self._known = moment


class ClockWatch:
    """Sets a worker's clock by the database's; tells of a skew once a day and worker.

    `worker` names the machine and what runs there, the same after each restart.
    """

    def __init__(
        self, clock: CheckedClock, machine: Clock, database: DatabaseTime, worker: str
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._database = database
        self._worker = worker

    async def check(self) -> timedelta:
        """How far the machine's clock is ahead. Raises `Unavailable`."""
        moment = await self._database.read(self._machine.monotonic)
        self._clock.set(moment)
        skew = self._machine.now() - self._clock.now()
        if abs(skew.total_seconds()) > SKEW_MAX_S + moment.within_s:
            await self._tell(skew, moment.at)
        return skew

    async def keep(self) -> None:
        """Checks until it is cancelled; while the database is away the last moment holds."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                await self.check()
            except TenantryError as outage:
                _log.warning("the clock is checked later: %s", outage.message)
            except Exception:
                # A fault of ours in one check must not end all later ones.
                _log.exception("a check of the clock failed")

    async def _tell(self, skew: timedelta, at: datetime) -> None:
        ahead_s = round(skew.total_seconds())
        at = at.astimezone(UTC)
        summary = f"the clock of {self._worker} is {ahead_s:+d} s off"
        body = {
            "summary": summary,
            "worker": self._worker,
            "ahead_s": ahead_s,
            "at": at.isoformat(),
        }
        once_key = f"{at.date().isoformat()} {self._worker}"
        if await self._database.report(Notice(PLATFORM, SKEW_NOTICE, once_key, body)):
            _log.warning("alert: %s", summary)
