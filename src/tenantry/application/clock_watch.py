"""A worker's clock, held to the database's: whatever the machine believes, all agree on the time.

Money is decided by the database's clock alone. What a worker decides by time besides (whether a
signature is fresh, how old an unknown attempt is, which period a query means) it decides by the
same clock, read now and then and carried on by the machine's steady one. Where that and the
machine's own are apart, it is told, and not which of the two is wrong: nobody here can know.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta

from tenantry.domain.errors import TenantryError
from tenantry.ports.clock import Clock, DatabaseTime, Moment
from tenantry.ports.outbox import PLATFORM, Notice

CHECK_EVERY_S = 60.0
DOUBTED_EVERY_S = 5.0  # at most, whoever doubts the clock
TOLD_EVERY_S = 600.0  # in the log, while a skew stays as it is
SKEW_MAX_S = 30.0  # a clock that is kept by NTP is within 1 s; Bedrock refuses signatures at 300
SKEW_NOTICE = "platform.clock_skew"
_log = logging.getLogger(__name__)


class CheckedClock:
    """`ports.clock.Clock`; until the first check it is the machine's."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._known: Moment | None = None
        self._doubted = asyncio.Event()

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

    def ahead(self) -> timedelta:
        """How far the machine's own clock is ahead of this one."""
        return self._machine.now() - self.now()

    def doubt(self) -> None:
        """Somebody has another time: this one is to be checked soon."""
        self._doubted.set()

    async def doubted(self) -> None:
        """Until that is so, since the last time it was."""
        await self._doubted.wait()
        self._doubted.clear()


class ClockWatch:
    """Sets a worker's clock by the database's; tells of a skew in the log, and in a notice once a
    day and worker.

    `worker` names the machine and what runs there, the same after each restart.
    """

    def __init__(
        self, clock: CheckedClock, machine: Clock, database: DatabaseTime, worker: str
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._database = database
        self._worker = worker
        self._told: timedelta | None = None  # the skew that the log has
        self._told_at = 0.0

    async def check(self) -> timedelta:
        """How far the machine's clock is ahead. Raises `Unavailable`."""
        moment = await self._database.read(self._machine.monotonic)
        self._clock.set(moment)
        skew = self._clock.ahead()
        if is_skewed(skew, moment.within_s):
            self._log(skew)
            await self._report(skew, moment.at)
        elif self._told is not None:
            self._told = None
            _log.warning("the clocks of %s and of the database agree again", self._worker)
        return skew

    async def keep(self) -> None:
        """Checks until it is cancelled, sooner where the clock is doubted; while the database is
        away the last moment holds."""
        while True:
            await asyncio.sleep(DOUBTED_EVERY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._clock.doubted(), CHECK_EVERY_S - DOUBTED_EVERY_S)
            try:
                await self.check()
            except TenantryError as outage:
                _log.warning("the clock is checked later: %s", outage.message)
            except Exception:
                # A fault of ours in one check must not end all later ones.
                _log.exception("a check of the clock failed")

    def _log(self, skew: timedelta) -> None:
        """The first time, where it has changed, and now and then while it has not."""
        told, now = self._told, self._machine.monotonic()
        is_known = told is not None and abs((skew - told).total_seconds()) <= SKEW_MAX_S
        if not is_known or now - self._told_at >= TOLD_EVERY_S:
            self._told, self._told_at = skew, now
            _log.warning("%s", skew_told(skew, self._worker))

    async def _report(self, skew: timedelta, at: datetime) -> None:
        at = at.astimezone(UTC)
        body = {
            "summary": skew_told(skew, self._worker),
            "worker": self._worker,
            "ahead_s": round(skew.total_seconds()),
            "at": at.isoformat(),
        }
        once_key = f"{at.date().isoformat()} {self._worker}"
        await self._database.report(Notice(PLATFORM, SKEW_NOTICE, once_key, body))


def is_skewed(skew: timedelta, within_s: float) -> bool:
    """Whether two clocks are further apart than they may be, as they were read `within_s`."""
    return abs(skew.total_seconds()) > SKEW_MAX_S + within_s


def skew_told(skew: timedelta, machine: str) -> str:
    """A line; `skew`: how far the machine's clock is ahead of the database's."""
    whose = "the database's" if skew < timedelta() else "the machine's"
    return (
        f"the clocks of {machine} and of the database differ by"
        f" {abs(round(skew.total_seconds()))} s ({whose} is ahead)"
    )
