"""Civil days and billing periods in a tenant's zone: half-open spans of UTC instants.

A month is 671 to 745 hours; an anchor day past a month's end means that month's last day. The
database computes the same spans when it admits (`billing_period` in its functions); a test
holds them equal.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_COPIES_APART = timedelta(hours=6)  # more than any change of a zone's offset, less than a day


@dataclass(frozen=True, slots=True)
class Span:
    """All instants t with start ≤ t < end, both in UTC."""

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def hours(self) -> int:
        return int((self.end - self.start).total_seconds() // 3600)


def civil_day(instant: datetime, zone: str) -> Span:
    local = _day(instant, zone)
    return Span(_midnight(local, zone), _midnight(local + timedelta(days=1), zone))


def billing_period(instant: datetime, zone: str, anchor_day: int) -> Span:
    """The period of `instant`: from the anchor day of a month to that of the next."""
    local = _day(instant, zone)
    start = _anchor(local.year, local.month, anchor_day)
    if local < start:
        start = _anchor(*_month(local.year, local.month - 1), anchor_day)
    end = _anchor(*_month(start.year, start.month + 1), anchor_day)
    return Span(_midnight(start, zone), _midnight(end, zone))


def days_span(start: date, end: date, within: Span, zone: str) -> Span:
    """The civil days d with start ≤ d < end, some of a span of whole days; where it begins or ends
    with it, by its own instants."""
    first, last = day_begun(within.start, zone), day_begun(within.end, zone)
    return Span(
        within.start if start <= first else _midnight(start, zone),
        within.end if end >= last else _midnight(end, zone),
    )


def day_begun(midnight: datetime, zone: str) -> date:
    """The civil day that begins at an instant.

    When it begins the database decides, whose copy of the time zones may be older or newer than
    this program's: where they differ by an hour it is still that day, and not the one before.
    """
    return (midnight + _COPIES_APART).astimezone(ZoneInfo(zone)).date()


def _day(instant: datetime, zone: str) -> date:
    """The day whose span holds an instant. Where clocks go back over midnight, the date that
    they show is yesterday's once more; the day that has begun goes on."""
    shown = instant.astimezone(ZoneInfo(zone)).date()
    tomorrow = shown + timedelta(days=1)
    return tomorrow if instant >= _midnight(tomorrow, zone) else shown


def _anchor(year: int, month: int, anchor_day: int) -> date:
    return date(year, month, min(anchor_day, monthrange(year, month)[1]))


def _month(year: int, month: int) -> tuple[int, int]:
    return (year + (month - 1) // 12, (month - 1) % 12 + 1)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
