"""Work on a disk that may never answer, in threads of its own.

The loop's threads are few, and everybody's: some that hang would hold up every other use of them,
name look-ups too, and a process waits for them at its end. For these it does not.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


class Aside:
    """While a piece of work is overdue none is begun, so that the threads are few."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._due: dict[object, float] = {}
        self._lock = threading.Lock()  # of what is due, which threads end

    async def run(self, work: Callable[[], _T], wait_s: float) -> _T:
        """Raises TimeoutError, and the work goes on; and what it raises itself."""
        answer = Future[_T]()
        answer.set_running_or_notify_cancel()  # from now on nobody cancels it
        answer.add_done_callback(self._end)

        def do() -> None:
            try:
                answer.set_result(work())
            except BaseException as failure:
                answer.set_exception(failure)

        now = time.monotonic()
        with self._lock:
            if any(due <= now for due in self._due.values()):
                raise TimeoutError
            threading.Thread(target=do, name=self._name, daemon=True).start()
            self._due[answer] = now + wait_s
        async with asyncio.timeout(wait_s):
            return await asyncio.wrap_future(answer)

    def _end(self, answer: object) -> None:
        with self._lock:
            del self._due[answer]
