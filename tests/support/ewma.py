"""The plain detector that this one is measured against.

An exponentially weighted mean and variance of hours, and a z-score. It knows neither the hour of
the week nor what an excess is worth.
"""

from __future__ import annotations

import math

from tenantry.domain.anomaly.detector import Kind, Noticed
from tenantry.domain.anomaly.hours import DAY_H, WEEK_H, Series

WEIGHT = 2 / (WEEK_H + 1)  # of the newest hour: a span of one week
SCORE = 3.0


def ewma_alerts(series: Series, score: float = SCORE) -> list[Noticed]:
    """An alert for each hour above mean + `score` deviations, a day of quiet between two."""
    mean, variance = 0.0, 0.0
    alerts: list[Noticed] = []
    for at, used in enumerate(series.tokens):
        over = used - mean
        quiet = not alerts or series.start + at - alerts[-1].hour >= DAY_H
        if at >= WEEK_H and quiet and over > score * math.sqrt(variance):
            alerts.append(Noticed(series.start + at, Kind.SPIKE, round(over)))
        mean += WEIGHT * over
        variance = (1 - WEIGHT) * (variance + WEIGHT * over * over)
    return alerts
