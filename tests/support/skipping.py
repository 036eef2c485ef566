"""An event loop that does not wait: where all sleep, the clock moves on to the first that wakes.

For code without input and output. Where nothing would ever wake, it raises instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("everything waits for ever")
            self.skipped_s += max(timeout, 0)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Selector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return super().time() + self._skipping.skipped_s


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, at once."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
