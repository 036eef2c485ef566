"""The machine's clock and randomness."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.clock.Clock` of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def random(self, count: int) -> bytes:
        return os.urandom(count)
