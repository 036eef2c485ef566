"""Zero usage: a tenant that always has traffic at this time has none.

Always: in each of the last weeks (three at least) the same window had `REQUESTS_MIN` requests or
more. At a day of 15 % of normal, which simulated tenants have, that many still leave one chance in
ten thousand for none. A tenant that is throttled to nothing is not silent.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.domain.anomaly.baseline import WEEKS, usual
from tenantry.domain.anomaly.facts import FactSeries
from tenantry.domain.anomaly.finding import Finding, Unit
from tenantry.domain.anomaly.hours import DAY_H, WEEK_H, sums_of

SILENCE = "silence"
WINDOWS_H = (3, DAY_H)
REQUESTS_MIN = 60
WEEKS_MIN = 3


def silences(series: FactSeries, first: int) -> Iterator[Finding]:
    """The windows without a request that end with index `first` or later; looks only back."""
    for hours in WINDOWS_H:
        requests, throttled = (
            sums_of(series.usage.requests, hours),
            sums_of(series.throttled, hours),
        )
        for at in range(max(first, hours - 1), len(series)):
            if requests[at] or throttled[at]:
                continue
            past = [
                requests[then]
                for then in range(at - WEEK_H, max(hours - 2, at - WEEKS * WEEK_H - 1), -WEEK_H)
            ]
            if len(past) >= WEEKS_MIN and min(past) >= REQUESTS_MIN:
                expected = usual(past)
                yield Finding(SILENCE, series.start + at, hours, 0.0, expected, Unit.REQUESTS)
