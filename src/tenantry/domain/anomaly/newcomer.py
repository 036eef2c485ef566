"""A tenant's first week, in which no hour of the week has come before.

Its own highest window so far stands for normal and the cohort's width for its spread, so only a
runaway is told: several times what it has ever used. Its first day is judged by nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tenantry.domain.anomaly.baseline import Judged
from tenantry.domain.anomaly.cohort import CohortPrior
from tenantry.domain.anomaly.hours import DAY_H, WEEK_H, Series, sums_of


def newcomers(series: Series, hours: int, prior: CohortPrior, score_min: float) -> Iterator[Judged]:
    """The runaway windows of the first week."""
    tokens, requests = sums_of(series.tokens, hours), sums_of(series.requests, hours)
    highest = most = 0
    for at in range(hours - 1, min(len(series), WEEK_H + hours - 1)):
        if at >= DAY_H + hours and highest:
            width = max(prior.width(hours, 0.0), 1.0 / math.sqrt(most + 1))
            score = math.log((tokens[at] + 1) / highest) / width
            if score >= score_min:
                yield Judged(at, hours, tokens[at], float(highest), score)
                continue  # a runaway is not the new normal
        highest, most = max(highest, tokens[at]), max(most, requests[at])
