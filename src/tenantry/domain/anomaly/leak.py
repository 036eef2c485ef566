"""Slow leaks: use that grows a little each day and never makes one hour unusual.

Each day is held against the days before it of the same weekday; what is over the tenant's own
trend is summed (CUSUM). The trend is that of three weeks up to a week ago, so that a leak
does not at once become its own normal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tenantry.domain.anomaly.baseline import WEEKS, Judged, counting, log_ratio, usual
from tenantry.domain.anomaly.cohort import CohortPrior
from tenantry.domain.anomaly.hours import DAY_H, Series
from tenantry.domain.anomaly.robust import median, spread

WEEK = 7  # days
TREND_DAYS = 21
LAG_DAYS = 7  # days that the trend does not know yet
KNOWN_DAYS_MIN = 14
SLACK = 0.6  # spreads a day that are forgiven
DAY_SCORE_MAX = 2.0  # spreads that one day can add: it takes four days to be a leak
SUM_MAX = 5.0  # spreads over slack that are a leak


def leaks(series: Series, prior: CohortPrior) -> Iterator[Judged]:
    """Each day in which a leak shows, at its last hour. `normal` is that of its last week."""
    first = -series.start % DAY_H
    days = range(first, len(series) - DAY_H + 1, DAY_H)
    tokens = [sum(series.tokens[at : at + DAY_H]) for at in days]
    requests = [sum(series.requests[at : at + DAY_H]) for at in days]
    residuals: dict[int, float] = {}
    summed = 0.0
    for day in range(WEEK, len(tokens)):
        past = range(day - WEEK, max(-1, day - WEEKS * WEEK - 1), -WEEK)
        normal = usual([tokens[then] for then in past])
        expected = usual([requests[then] for then in past])
        residuals[day] = log_ratio(tokens[day], normal, expected)
        trend = [
            residuals[then]
            for then in range(max(WEEK, day - LAG_DAYS - TREND_DAYS), day - LAG_DAYS + 1)
        ]
        if len(trend) < KNOWN_DAYS_MIN:
            continue
        middle = max(0.0, median(trend))
        width = max(spread(trend), counting(expected), prior.width(DAY_H, len(trend) / TREND_DAYS))
        score = min(DAY_SCORE_MAX, (residuals[day] - middle) / width)
        summed = min(SUM_MAX, max(0.0, summed + score - SLACK))
        if summed == SUM_MAX:
            week = range(day - WEEK + 1, day + 1)
            known = sum(
                tokens[then] / math.exp(residuals[then] - middle)
                for then in week
                if then in residuals
            )
            last = first + day * DAY_H + DAY_H - 1
            yield Judged(last, WEEK * DAY_H, sum(tokens[then] for then in week), known, summed)
