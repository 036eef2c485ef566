"""What time signatures tell: our clock's, corrected by an endpoint's answer, as AWS's SDKs do.

Our clock is the database's, which may be wrong: then every signature would be refused. Owns: the
corrections, of signatures alone and each of the endpoint that caused it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from tenantry.ports.clock import Clock

OFF_MIN: Final = timedelta(minutes=4)  # as AWS's SDKs; the service refuses from 5 minutes on
CORRECTION_MAX: Final = timedelta(days=1)  # further no endpoint takes what we sign for it
_NONE: Final = timedelta()


class SigningTime:
    """Hosts are as many as `Connections` has endpoints at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._corrections: dict[str, timedelta] = {}

    def now(self, host: str) -> datetime:
        """The time to sign with, UTC."""
        return self._clock.now() + self._corrections.get(host, _NONE)

    def learn(self, host: str, signed_at: datetime, headers: Mapping[str, str]) -> timedelta | None:
        """From a refusal of the time that was signed: how far the host's clock is ahead of ours,
        where what was signed is so far from it that signing again by it is worth it; else None.
        A correction with which the host refuses too is given up: its `Date` is not its clock, as
        behind a proxy. `headers`: lower case."""
        self._corrections.pop(host, None)
        there = _date(headers)
        if there is None or abs(there - signed_at) < OFF_MIN:
            return None
        ahead = there - self._clock.now()
        if abs(ahead) > CORRECTION_MAX:
            return None
        if abs(ahead) >= OFF_MIN:
            self._corrections[host] = ahead
        return ahead


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
