"""Which hours are judged: those that are over and have settled, and how far back they go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from tenantry.domain.anomaly.hours import HOUR_S, WEEK_H, instant_of

SETTLING: Final = timedelta(minutes=20)  # an attempt takes up to 15
HISTORY_H: Final = 12 * WEEK_H


def last_final(now: datetime) -> datetime:
    """Hours before it are over and have settled, but for what comes late."""
    return instant_of(int((now - SETTLING).timestamp()) // HOUR_S)


def first_hour(end: int) -> int:
    """Where a history begins: it moves by whole weeks, so that the same hours are judged alike."""
    return (end - HISTORY_H) // WEEK_H * WEEK_H
