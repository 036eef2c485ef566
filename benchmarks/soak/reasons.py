"""Why a request may be refused, or lose its answer: nothing else explains it.

A reason lies over a span of time and over one tenant or all. A refusal is explained where a reason
for its code lay over any part of the request.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

BROKEN: Final = "broken"  # the connection ended before the answer did
UNREACHED: Final = "unreached"  # there was no connection
AWAY: Final = frozenset({"unavailable"})
UPSTREAM: Final = frozenset(
    {
        "upstream_failed",
        "upstream_throttled",
        "upstream_timeout",
        "upstream_unavailable",
        "upstream_rubbish",
        "upstream_refused",
    }
)
KEPT_S: Final = 600.0  # longer than any request lasts


@dataclass(slots=True, eq=False)
class Reason:
    codes: frozenset[str]
    tenant: str | None  # None: of all
    since: float
    until: float = math.inf

    def close(self, after_s: float = 0.0) -> None:
        """It explains nothing that begins later than `after_s` from now."""
        self.until = time.monotonic() + after_s


class Reasons:
    def __init__(self) -> None:
        self._open: list[Reason] = []
        self._lock = threading.Lock()

    def give(
        self, codes: Collection[str], tenant: str | None = None, *, before_s: float = 0.0
    ) -> Reason:
        """One that holds from now, or `before_s` earlier, until it is closed."""
        now = time.monotonic()
        reason = Reason(frozenset(codes), tenant, now - before_s)
        with self._lock:
            self._open = [one for one in self._open if one.until > now - KEPT_S]
            self._open.append(reason)
        return reason

    @contextmanager
    def lasting(
        self, codes: Collection[str], tenant: str | None = None, *, after_s: float = 0.0
    ) -> Iterator[None]:
        """As long as the block, and `after_s` more."""
        reason = self.give(codes, tenant)
        try:
            yield
        finally:
            reason.close(after_s)

    def explain(self, codes: Collection[str], tenant: str, since: float, until: float) -> bool:
        """Whether any of these codes was to be expected of a request that took this span."""
        with self._lock:
            return any(
                reason.codes & set(codes)
                and reason.tenant in (None, tenant)
                and reason.since <= until
                and since <= reason.until
                for reason in self._open
            )
