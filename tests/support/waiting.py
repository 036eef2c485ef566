"""Waiting for what comes about on its own, in another thread or process."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0


def eventually(look: Callable[[], object]) -> None:
    """Returns once `look` is true; AssertionError after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)
