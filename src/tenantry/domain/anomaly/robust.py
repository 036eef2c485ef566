"""Middles and spreads that a few wild values do not move."""

from __future__ import annotations

from collections.abc import Sequence

SIGMA_PER_MAD = 1.4826  # of a normal distribution


def median(values: Sequence[float]) -> float:
    """0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def spread(values: Sequence[float]) -> float:
    """The standard deviation by the median of distances from the median."""
    middle = median(values)
    return SIGMA_PER_MAD * median([abs(value - middle) for value in values])
