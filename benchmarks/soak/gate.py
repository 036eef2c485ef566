"""Requests pass while it is open; it closes for quiet moments, once nobody is within."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_open = True
        self._within = 0

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Waits while it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_open)
            self._within += 1
        try:
            yield
        finally:
            with self._changed:
                self._within -= 1
                self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Lets nobody in any more; whether all who were within have left in time."""
        with self._changed:
            self._is_open = False
            return self._changed.wait_for(lambda: not self._within, timeout_s)

    def open(self) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


class Ending:
    """Told once that it is over; whoever pauses hears of it at once."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def is_over(self) -> bool:
        return self._over.is_set()

    def end(self) -> None:
        self._over.set()

    def pause(self, seconds: float) -> bool:
        """False where it is over before that."""
        return not self._over.wait(max(0.0, seconds))
