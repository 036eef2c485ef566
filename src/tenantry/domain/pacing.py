"""Where a budget's period will end: what was spent, and what the tenant's weeks say of the rest.

1. The rest of the period is cut at UTC midnights. Each piece is held against the same piece of the
   last four weeks; of four the one that used most is dropped, so that one event is no forecast.
2. An hour is expected to cost the mean of that hour in the weeks kept, times the *trend*: the
   middle, over the last seven whole days, of what a day came to against its own weeks.
3. The range: the same with the lowest and the highest trend that a stretch as long as the rest (at
   most a week) showed within the last four weeks.
4. A tenant with less than two weeks has no such weeks: its whole days so far are the forecast, by
   their mean, and the range by the least and the most of them. Without one whole day there is none.

Exact fractions until the result, which is rounded half up to `STEP`: it is an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Final, Literal

from tenantry.domain import money
from tenantry.domain.anomaly.hours import DAY_H, HOUR_S, WEEK_H, instant_of

WEEKS: Final = 4
DAYS_OF_TREND: Final = 7
DAYS_OF_RANGE: Final = 28
TREND_MIN: Final = Fraction(1, 4)
TREND_MAX: Final = Fraction(4)
STEP: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a period will have cost at its end. `passes_at`: the hour in which the limit is passed,
    None where it is not. `based_on`: how the rest was found.
    """

    expected: Decimal
    low: Decimal
    high: Decimal
    passes_at: datetime | None
    based_on: Literal["weeks", "days"]


@dataclass(frozen=True, slots=True)
class Past:
    """What was used by hour since 1970, as exact running sums: `sums[n]` of the first n hours."""

    start: int
    sums: Sequence[Decimal]

    @property
    def end(self) -> int:
        return self.start + len(self.sums) - 1

    def of(self, start: int, end: int) -> Fraction:
        first, last = self.sums[start - self.start], self.sums[end - self.start]
        return Fraction(money.less(last, first))

    def holds(self, start: int, end: int) -> bool:
        return self.start <= start and end <= self.end


def past_of(start: int, amounts: Iterable[Decimal]) -> Past:
    """The past whose first hour is `start`."""
    return Past(start, tuple(accumulate(amounts, money.EXACT.add, initial=money.ZERO)))


def forecast(
    past: Past,
    now: datetime,
    end: datetime,
    *,
    spent: Decimal,
    limit: Decimal | None,
    share: Fraction = Fraction(1),
) -> Forecast | None:
    """`spent` so far of a period that ends at `end`; `past` is the tenant's, and `share` the
    part of it that is the budget's. The rest begins with the next whole hour. None: too little is
    known.
    """
    rest = _rest(now, end)
    by_week = _by_weeks(past, rest)
    hours, low, high = by_week or _by_days(past, rest) or (None, Fraction(0), Fraction(0))
    if hours is None:
        return None
    return Forecast(
        expected=_rounded(Fraction(spent) + share * sum(hours, Fraction(0))),
        low=_rounded(Fraction(spent) + share * low),
        high=_rounded(Fraction(spent) + share * high),
        passes_at=_passes_at(now, rest, hours, Fraction(spent), limit, share),
        based_on="weeks" if by_week else "days",
    )


def most_by_weeks(past: Past, now: datetime, end: datetime) -> Fraction:
    """What a forecast by weeks never says more of, of the rest of a period that ends at `end`: in a
    week of the rest each hour of the past stands for one hour at most. Takes no work."""
    weeks = -(-len(_rest(now, end)) // WEEK_H)
    return TREND_MAX * weeks * Fraction(past.sums[-1])


def _rest(now: datetime, end: datetime) -> range:
    """The hours that are to come."""
    return range(-int(-now.timestamp() // HOUR_S), int(end.timestamp() // HOUR_S))


_Rest = tuple[list[Fraction], Fraction, Fraction]  # by hour; least and most of all of it


def _by_weeks(past: Past, rest: range) -> _Rest | None:
    trends = [trend for day in _days_back(past) if (trend := _trend(past, day, 1)) is not None]
    if len(trends) < DAYS_OF_TREND:
        return None
    trend = _bounded(_middle(trends[:DAYS_OF_TREND]))
    hours: list[Fraction] = []
    for start, end in _pieces(rest):
        weeks = _weeks_of(past, start, end)
        if not weeks:
            return None
        hours += [
            trend * sum((past.of(hour - back, hour - back + 1) for back in weeks), Fraction(0))
            / len(weeks)
            for hour in range(start, end)
        ]  # fmt: skip
    stretch = max(1, min(7, -(-len(rest) // DAY_H)))
    shown = [
        _bounded(found)
        for day in _days_back(past)
        if (found := _trend(past, day, stretch)) is not None
    ]
    total = sum(hours, Fraction(0))
    low, high = min((trend, *shown)), max((trend, *shown))
    return hours, total * low / trend, total * high / trend


def _by_days(past: Past, rest: range) -> _Rest | None:
    days = [past.of(day, day + DAY_H) for day in _days_back(past)]
    if not days:
        return None
    mean = sum(days, Fraction(0)) / len(days)
    whole = Fraction(len(rest), DAY_H)
    return [mean / DAY_H] * len(rest), min(days) * whole, max(days) * whole


def _days_back(past: Past) -> Iterator[int]:
    """The first hours of whole UTC days, the last one first, at most `DAYS_OF_RANGE`."""
    last = past.end // DAY_H * DAY_H - DAY_H
    yield from range(last, max(past.start - 1, last - DAYS_OF_RANGE * DAY_H), -DAY_H)


def _trend(past: Past, day: int, days: int) -> Fraction | None:
    """What `days` days, the last of which begins at hour `day`, came to against their weeks."""
    used = known = Fraction(0)
    for start in range(day - (days - 1) * DAY_H, day + DAY_H, DAY_H):
        weeks = _weeks_of(past, start, start + DAY_H)
        if not weeks:
            return None
        used += past.of(start, start + DAY_H)
        of_weeks = (past.of(start - back, start - back + DAY_H) for back in weeks)
        known += sum(of_weeks, Fraction(0)) / len(weeks)
    return used / known if known else None


def _weeks_of(past: Past, start: int, end: int) -> list[int]:
    """How far back the same hours lie in the weeks that count, in hours."""
    # A rest longer than a week looks back from the last hour that is known.
    skipped = max(0, -(-(end - past.end) // WEEK_H) - 1)
    backs = [(skipped + week) * WEEK_H for week in range(1, WEEKS + 1)]
    held = [back for back in backs if past.holds(start - back, end - back)]
    if len(held) == WEEKS:
        held.remove(max(held, key=lambda back: past.of(start - back, end - back)))
    return held


def _pieces(rest: range) -> Iterator[tuple[int, int]]:
    start = rest.start
    while start < rest.stop:
        end = min(rest.stop, (start // DAY_H + 1) * DAY_H)
        yield start, end
        start = end


def _passes_at(
    now: datetime,
    rest: range,
    hours: Sequence[Fraction],
    spent: Fraction,
    limit: Decimal | None,
    share: Fraction,
) -> datetime | None:
    if limit is None:
        return None
    if spent > limit:
        return now
    for hour, amount in zip(rest, hours, strict=True):
        spent += share * amount
        if spent > limit:
            return instant_of(hour) + timedelta(hours=1)
    return None


def _middle(values: Sequence[Fraction]) -> Fraction:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _bounded(trend: Fraction) -> Fraction:
    return min(TREND_MAX, max(TREND_MIN, trend))


def _rounded(amount: Fraction) -> Decimal:
    quotient = money.ratio(Decimal(amount.numerator), Decimal(amount.denominator))
    return money.rounded(quotient, STEP)
