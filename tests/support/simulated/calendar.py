"""Days and billing periods by zoneinfo alone: the auditor's own reading of them.

A day begins at the first instant at which clocks of the zone show its date or a later one; it is
found by stepping through the hours around it, so that no rule about changes of clocks is needed.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

STEP = timedelta(minutes=15)  # no zone changes its clocks at a finer instant
WIDEST = timedelta(hours=16)  # from UTC


@lru_cache(maxsize=4_096)
def first_instant(day: date, zone: str) -> datetime:
    clock = ZoneInfo(zone)
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - WIDEST
    while moment.astimezone(clock).date() < day:
        moment += STEP
    return moment


def day_of(instant: datetime, zone: str) -> date:
    day = instant.astimezone(UTC).date() - timedelta(days=1)
    while first_instant(day + timedelta(days=1), zone) <= instant:
        day += timedelta(days=1)
    return day


def period_start(instant: datetime, zone: str, anchor_day: int) -> datetime:
    """The first instant of the billing period that an instant is in."""
    day = day_of(instant, zone)
    while day != _anchor(day, anchor_day):
        day -= timedelta(days=1)
    return first_instant(day, zone)


def _anchor(of: date, anchor_day: int) -> date:
    following = (of.replace(day=28) + timedelta(days=4)).replace(day=1)
    last = (following - timedelta(days=1)).day
    return of.replace(day=min(anchor_day, last))
