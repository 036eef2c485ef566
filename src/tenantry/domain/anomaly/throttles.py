"""Throttles: upstream answered 429 to attempts of this tenant, more than it is used to.

What is usual is the same window of past weeks without the largest; an hour that is throttled every
week is known. No history is needed to miss one in twenty attempts.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.domain.anomaly.baseline import WEEKS, usual
from tenantry.domain.anomaly.facts import FactSeries
from tenantry.domain.anomaly.finding import Finding, Unit
from tenantry.domain.anomaly.hours import DAY_H, WEEK_H, sums_of

THROTTLED = "throttled"
WINDOWS_H = (1, DAY_H)
ATTEMPTS_MIN = 20
SHARE_MIN = 0.05  # of requests and throttled attempts together
TIMES_USUAL = 3.0


def throttles(series: FactSeries, first: int) -> Iterator[Finding]:
    """The throttled windows that end with index `first` or later; looks only back."""
    for hours in WINDOWS_H:
        throttled, requests = (
            sums_of(series.throttled, hours),
            sums_of(series.usage.requests, hours),
        )
        for at in range(max(first, hours - 1), len(series)):
            count = throttled[at]
            if count < ATTEMPTS_MIN or count < SHARE_MIN * (count + requests[at]):
                continue
            past = range(at - WEEK_H, max(hours - 2, at - WEEKS * WEEK_H - 1), -WEEK_H)
            expected = usual([throttled[then] for then in past])
            if count >= TIMES_USUAL * expected:
                yield Finding(
                    THROTTLED, series.start + at, hours, float(count), expected, Unit.ATTEMPTS
                )
