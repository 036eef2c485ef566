"""Use that was announced is not unusual."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """A launch, a migration, a load test: hours [start, end) since 1970 that raise no alert."""

    start: int
    end: int


def check_announced(instant: datetime) -> None:
    """Raises `ValueError` for an instant at which nobody announces anything."""
    if not _FIRST <= instant <= _LAST:
        raise ValueError(f"must be from {_FIRST:%Y} to {_LAST:%Y}")


def muted(events: Iterable[PlannedEvent], last: int, hours: int) -> bool:
    """Whether a window of `hours` hours that ends with hour `last` touches a planned event."""
    return any(event.start <= last and last - hours + 1 < event.end for event in events)
