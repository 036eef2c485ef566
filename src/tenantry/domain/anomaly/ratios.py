"""Ratios that cost money when they move: tokens per request up, the cache's share of input down.

Each window is held against the same window of past weeks, the difference measured in the tenant's
own robust spread, which is never believed to be below a least one. Then comes what it is worth in
tokens: the money floor of `settings.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from tenantry.domain.anomaly.baseline import WEEKS
from tenantry.domain.anomaly.facts import FactSeries
from tenantry.domain.anomaly.finding import Finding, Unit
from tenantry.domain.anomaly.hours import DAY_H, WEEK_H, sums_of
from tenantry.domain.anomaly.robust import median, spread
from tenantry.domain.anomaly.settings import Settings

REQUEST_SIZE = "request_size"
CACHE_HITS = "cache_hits"
WINDOWS_H = (3, DAY_H)
WEEKS_MIN = 2
SCORE = 4.0
REQUESTS_MIN = 50  # in a window: fewer have no size worth comparing
SIZE_WIDTH_MIN = 0.1  # on the log scale
CACHED_MIN = 0.2  # share of input that is usually read from the cache, to miss it
CACHED_WIDTH_MIN = 0.03
RESIDUALS_MIN = 72  # before its own spread says anything
INPUT_TOKENS_MIN = 50_000  # in a window, now and in past weeks
HISTORY_H = (WEEKS + 1) * WEEK_H  # of residuals before the first hour that is asked for


def request_sizes(series: FactSeries, first: int, settings: Settings) -> Iterator[Finding]:
    """Windows whose requests were larger than usual."""
    for hours in WINDOWS_H:
        tokens, requests = (sums_of(x, hours) for x in (series.usage.tokens, series.usage.requests))
        sizes = _ratios(tokens, requests, REQUESTS_MIN)
        for at, size, usual, score in _moved(sizes, hours, first, _log, SIZE_WIDTH_MIN):
            excess = round((size - usual) * requests[at])
            charge = series.usage.charge_of(at, hours)
            if score >= SCORE and settings.floor.passed(excess, tokens[at], charge):
                yield Finding(
                    REQUEST_SIZE, series.start + at, hours, size, usual,
                    Unit.TOKENS_PER_REQUEST, excess,
                )  # fmt: skip


def cache_misses(series: FactSeries, first: int, settings: Settings) -> Iterator[Finding]:
    """Windows in which at most half of what is usual came from the cache."""
    for hours in WINDOWS_H:
        reads, inputs = (sums_of(x, hours) for x in (series.cache_read_tokens, series.input_tokens))
        shares = _ratios(reads, inputs, INPUT_TOKENS_MIN)
        for at, share, usual, score in _moved(shares, hours, first, _drop, CACHED_WIDTH_MIN):
            missed = round((usual - share) * inputs[at])
            if (
                score >= SCORE
                and usual >= CACHED_MIN
                and 2 * share <= usual
                and missed >= settings.floor.tokens
            ):
                yield Finding(
                    CACHE_HITS, series.start + at, hours, share, usual, Unit.SHARE, missed
                )


def _ratios(parts: Sequence[int], wholes: Sequence[int], least: int) -> list[float | None]:
    return [
        part / whole if whole >= least else None for part, whole in zip(parts, wholes, strict=True)
    ]


def _log(now: float, usual: float) -> float:
    return math.log((now + 1.0) / (usual + 1.0))


def _drop(now: float, usual: float) -> float:
    return usual - now


def _moved(
    ratios: Sequence[float | None],
    hours: int,
    first: int,
    residual_of: Callable[[float, float], float],
    width_min: float,
) -> Iterator[tuple[int, float, float, float]]:
    """(index, ratio, what is usual, score) from index `first` on; looks only back."""
    residuals: list[float] = []
    middle, width = 0.0, width_min
    for at in range(max(WEEK_H + hours - 1, first - HISTORY_H), len(ratios)):
        if at % DAY_H == 0:
            middle = max(0.0, median(residuals[-WEEK_H:]))
            width = max(width_min, spread(residuals[-WEEKS * WEEK_H :]))
        ratio = ratios[at]
        if ratio is None:
            continue
        past = [
            known
            for then in range(at - WEEK_H, max(hours - 2, at - WEEKS * WEEK_H - 1), -WEEK_H)
            if (known := ratios[then]) is not None
        ]
        if len(past) < WEEKS_MIN:
            continue
        usual = median(past)
        residual = residual_of(ratio, usual)
        if at >= first and len(residuals) >= RESIDUALS_MIN:
            yield at, ratio, usual, (residual - middle) / width
        residuals.append(residual)
