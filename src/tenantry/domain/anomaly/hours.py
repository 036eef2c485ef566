"""The hours that a tenant used, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate

from tenantry.domain import money

HOUR_S = 3600
DAY_H = 24
WEEK_H = 168
SPAN_MAX_H = 3 * 366 * DAY_H  # what one tenant's series may cover; gaps count


class BadHours(ValueError):
    """Hours that are no series: negative, repeated, or too far apart."""


@dataclass(frozen=True, slots=True)
class UsageHour:
    """One tenant's use in one hour. `hour` counts hours since 1970-01-01T00:00Z."""

    hour: int
    tokens: int
    requests: int
    charge: Decimal


@dataclass(frozen=True, slots=True)
class Series:
    """Every hour from `start` on; an hour without a row is an hour without use."""

    start: int
    tokens: Sequence[int]
    requests: Sequence[int]
    charges: Sequence[Decimal]

    def __len__(self) -> int:
        return len(self.tokens)

    def charge_of(self, last: int, hours: int) -> Decimal:
        """The exact charge of `hours` hours that end with index `last`."""
        return money.total(self.charges[max(0, last + 1 - hours) : last + 1])


def hour_of(instant: datetime) -> int:
    """The hour that begins at an aware instant. Raises `BadHours` within an hour."""
    seconds = (instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    if seconds % HOUR_S:
        raise BadHours("is not the start of an hour")
    return int(seconds // HOUR_S)


def instant_of(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_S, UTC)


def series_of(rows: Iterable[UsageHour]) -> Series:
    """Rows in any order, each hour once. Raises `BadHours`."""
    ordered = sorted(rows, key=lambda row: row.hour)
    if not ordered:
        return Series(0, (), (), ())
    start = ordered[0].hour
    span = ordered[-1].hour - start + 1
    if span > SPAN_MAX_H:
        raise BadHours(f"{span} hours from first to last, more than {SPAN_MAX_H}")
    tokens, requests, charges = [0] * span, [0] * span, [Decimal(0)] * span
    before = start - 1
    for row in ordered:
        if row.hour == before:
            raise BadHours(f"{instant_of(row.hour):%Y-%m-%dT%H:%M:%SZ} is there twice")
        if min(row.tokens, row.requests) < 0 or not (row.charge.is_finite() and row.charge >= 0):
            raise BadHours("tokens, requests and charge are not below 0")
        before, at = row.hour, row.hour - start
        tokens[at], requests[at], charges[at] = row.tokens, row.requests, row.charge
    return Series(start, tokens, requests, charges)


def sums_of(values: Sequence[int], hours: int) -> list[int]:
    """The sum of the `hours` hours that end with each hour; the first ones are shorter."""
    total = [0, *accumulate(values)]
    return [total[at + 1] - total[max(0, at + 1 - hours)] for at in range(len(values))]
