"""How work grows with what is worked on, by the processor's time, which others at work on the
machine hardly change."""

from __future__ import annotations

import time
from collections.abc import Callable

_TRIES = 3


def processor_seconds(work: Callable[[], object]) -> float:
    """Of this process; the least of some tries, as others may be at work."""
    took = []
    for _ in range(_TRIES):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took)


def grows_no_faster(work: Callable[[int], object], times: int) -> bool:
    """Whether four times as much is about four times the work of so much, and not sixteen."""
    return processor_seconds(lambda: work(4 * times)) < 8 * processor_seconds(lambda: work(times))
