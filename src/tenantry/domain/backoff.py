"""When a delivery that failed is tried again, and when it is given up.

The pause doubles from `FIRST_S` to `LONGEST_S`, less up to `JITTER` of it, so that what failed
together does not come back together. It ends after `GIVE_UP_AFTER` or `ATTEMPTS_MAX`, whichever
is first: the former for a receiver that is away, the latter for a notice that ends the worker.
What moves money has the same pauses, and no end.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

FIRST_S: Final = 5.0
LONGEST_S: Final = 4 * 3_600.0
JITTER: Final = 0.2
GIVE_UP_AFTER: Final = timedelta(days=3)
REST: Final = timedelta(seconds=30)  # of a tenant's endpoint that took nothing: others' turn
ATTEMPTS_MAX: Final = 40  # the pauses above fill three days with about 33


def next_attempt(
    attempts: int,
    since: datetime,
    now: datetime,
    chance: float,
    rest: timedelta = timedelta(),
) -> datetime | None:
    """When to try again after `attempts` (1 or more) that failed; None: no more.

    `chance` is in [0, 1); `rest`: after so long at the earliest. The last attempt falls at the end
    of `GIVE_UP_AFTER` at the latest.
    """
    assert attempts >= 1 and 0 <= chance < 1
    end = since + GIVE_UP_AFTER
    if attempts >= ATTEMPTS_MAX or now >= end:
        return None
    return min(now + max(pause(attempts, chance), rest), end)


def pause(attempts: int, chance: float) -> timedelta:
    """How long to wait after `attempts` (1 or more) that failed. `chance` is in [0, 1)."""
    pause_s = min(FIRST_S * 2.0 ** min(attempts - 1, 32), LONGEST_S)
    return timedelta(seconds=pause_s * (1 - JITTER * chance))
