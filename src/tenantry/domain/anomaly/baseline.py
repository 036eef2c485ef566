"""What is normal for an hour of the week.

1. The same window one to four weeks ago, the largest dropped: one event cannot hide the next.
2. The median of the rest; how today's use relates to it, as a logarithm (a *residual*).
3. Each midnight, from the residuals so far: their middle over a week (growth, and the bias of
   dropping the largest) and their robust spread over four.
4. A score: the residual above the middle, in spreads; a spread is never below what counting
   requests alone gives (Poisson), nor below what the cohort shows while a tenant is new.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tenantry.domain.anomaly.cohort import CohortPrior
from tenantry.domain.anomaly.hours import DAY_H, WEEK_H, Series, sums_of
from tenantry.domain.anomaly.robust import median, spread

WEEKS = 4
# A residual takes a week of noise from both sides: now, and the median of three weeks.
BASELINE_NOISE = 1.25
SOFTENING = 0.5  # requests
UNKNOWN_REQUEST = 1_000  # tokens of a request where a tenant has shown none at this hour


@dataclass(frozen=True, slots=True)
class Judged:
    """The window of `hours` hours that ends with index `at` of a series, in tokens."""

    at: int
    hours: int
    used: int
    normal: float
    score: float

    @property
    def excess(self) -> int:
        return self.used - round(self.normal)


def usual(values: Sequence[int]) -> float:
    """The middle of the same window in past weeks, most recent first.

    Of four the largest is dropped; of fewer none, or too little would be left.
    """
    kept = sorted(values)[: WEEKS - 1] if len(values) == WEEKS else values
    return median(kept)


@dataclass(frozen=True, slots=True)
class Compared:
    """A window beside the same window of past weeks; `expected` is in requests."""

    at: int
    used: int
    normal: float
    expected: float
    residual: float


def compared(series: Series, hours: int) -> Iterator[Compared]:
    """Every window of `hours` hours from the second week on, in order; looks only back."""
    tokens, requests = sums_of(series.tokens, hours), sums_of(series.requests, hours)
    for at in range(WEEK_H + hours - 1, len(series)):
        past = range(at - WEEK_H, max(hours - 2, at - WEEKS * WEEK_H - 1), -WEEK_H)
        normal = usual([tokens[then] for then in past])
        expected = usual([requests[then] for then in past])
        ratio = log_ratio(tokens[at], normal, expected)
        yield Compared(at, tokens[at], normal, expected, ratio)


def log_ratio(used: int, normal: float, expected: float) -> float:
    """Half a request of the usual size is added to both sides: 0 has no logarithm."""
    soft = SOFTENING * (normal / expected if expected and normal else UNKNOWN_REQUEST)
    return math.log((used + soft) / (normal + soft))


def judged(series: Series, hours: int, prior: CohortPrior) -> Iterator[Judged]:
    """Every window that `compared` gives, with its score."""
    residuals: list[float] = []
    middle = width = 0.0
    for window in compared(series, hours):
        if (series.start + window.at) % DAY_H == 0:
            # A drop is no reason to find the way back unusual: the middle never goes below 0.
            middle = max(0.0, median(residuals[-WEEK_H:]))
            width = spread(residuals[-WEEKS * WEEK_H :])
        known = len(residuals) / (WEEKS * WEEK_H)
        least = max(counting(window.expected), prior.width(hours, known))
        yield Judged(
            window.at,
            hours,
            window.used,
            window.normal * math.exp(middle),
            (window.residual - middle) / max(width, least),
        )
        residuals.append(window.residual)


def counting(expected: float) -> float:
    """The spread that counting `expected` requests gives by itself."""
    return BASELINE_NOISE / math.sqrt(expected + 1)
