"""Slow leaks: use that grows a little each day and never makes one hour unusual.

Each day is held against the days before it of the same weekday; what is over the tenant's own
trend is summed (CUSUM). The trend is that of the weeks before the last two, so that a leak does
not become its own normal while it is being summed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tenantry.domain.anomaly.baseline import BASELINE_NOISE, SOFTENING, Judged, usual
from tenantry.domain.anomaly.cohort import CohortPrior
from tenantry.domain.anomaly.hours import DAY_H, Series
from tenantry.domain.anomaly.robust import median, spread

WEEK = 7  # days
TREND_DAYS = 21
LAG_DAYS = 7  # days that the trend does not know yet
KNOWN_DAYS_MIN = 14
SLACK = 0.75  # spreads a day that are forgiven
DAY_SCORE_MAX = 2.5  # spreads that one day can add: a single wild day is no leak
SUM_MAX = 6.0  # spreads over slack that are a leak
SPREAD_MIN = 0.12
SUMMED_DAYS_MAX = 21


def leaks(series: Series, prior: CohortPrior) -> Iterator[Judged]:
    """Each day in which a leak shows, at its last hour. `normal` covers the days summed."""
    first = -series.start % DAY_H
    days = range(first, len(series) - DAY_H + 1, DAY_H)
    tokens = [sum(series.tokens[at : at + DAY_H]) for at in days]
    requests = [sum(series.requests[at : at + DAY_H]) for at in days]
    residuals: dict[int, float] = {}
    summed, since = 0.0, 0
    for day in range(WEEK, len(tokens)):
        past = range(day - WEEK, max(-1, day - 4 * WEEK - 1), -WEEK)
        normal = usual([tokens[then] for then in past])
        expected = usual([requests[then] for then in past])
        soft = SOFTENING * (normal / expected if expected and normal else 1.0)
        residuals[day] = math.log((tokens[day] + soft) / (normal + soft))
        trend = [
            residuals[then]
            for then in range(max(WEEK, day - LAG_DAYS - TREND_DAYS), day - LAG_DAYS + 1)
        ]
        if len(trend) < KNOWN_DAYS_MIN:
            continue
        middle = max(0.0, median(trend))
        width = max(
            spread(trend),
            BASELINE_NOISE / math.sqrt(expected + 1),
            prior.width(DAY_H, len(trend) / TREND_DAYS),
            SPREAD_MIN,
        )
        score = min(DAY_SCORE_MAX, (residuals[day] - middle) / width)
        if summed <= 0:
            since = day
        since = max(since, day - SUMMED_DAYS_MAX + 1)
        summed = max(0.0, summed + score - SLACK)
        if summed >= SUM_MAX:
            used = sum(tokens[since : day + 1])
            over = sum(
                tokens[then] - tokens[then] / math.exp(residuals[then] - middle)
                for then in range(since, day + 1)
            )
            yield Judged(first + day * DAY_H + DAY_H - 1, used, used - over, summed)
            summed = SUM_MAX
