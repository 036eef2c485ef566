"""Use that was announced is not unusual."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """A launch, a migration, a load test: hours [start, end) since 1970 that raise no alert."""

    start: int
    end: int


def muted(events: Iterable[PlannedEvent], last: int, hours: int) -> bool:
    """Whether a window of `hours` hours that ends with hour `last` touches a planned event."""
    return any(event.start <= last and last - hours + 1 < event.end for event in events)
