"""Work in parts: by the thread that asks, and by the others of its pool while they are free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress

# Does `work(0)` to `work(count - 1)`, in any order and in any threads; on return all are done.
Share = Callable[[Callable[[int], None], int], None]


def alone(work: Callable[[int], None], count: int) -> None:
    for part in range(count):
        work(part)


def together(pool: Executor, work: Callable[[int], None], count: int) -> None:
    """For a thread of the pool. Help is asked for anew with each part, at the end of the queue, so
    that whoever else waits for a thread has the next one; for help that has not begun nobody waits.
    """
    left = deque(range(count))
    helpers: deque[Future[None]] = deque()

    def next_part() -> int | None:
        try:
            return left.popleft()
        except IndexError:  # all are under way
            return None

    def ask() -> None:
        if left:
            with suppress(RuntimeError):  # the pool is closing
                helpers.append(pool.submit(help_out))

    def help_out() -> None:
        part = next_part()
        if part is not None:
            ask()
            work(part)

    try:
        part = next_part()
        ask()
        while part is not None:
            work(part)
            part = next_part()
    finally:
        left.clear()
        while helpers:
            helper = helpers.popleft()
            if not helper.cancel():
                helper.result()
