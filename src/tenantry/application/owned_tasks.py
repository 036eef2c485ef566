"""Work that outlives the client that caused it: bounded in number, waited for at shutdown.

A call to Bedrock never shares its client's cancel scope: whoever leaves, the answer is drained and
settled by a task of ours.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from typing import Any, TypeVar

from tenantry.domain.errors import TenantryError, Unavailable

OWNED_TASKS_MAX = 10_000  # a worker's calls under way, read or abandoned
PLACES_LOGGED = 5  # of the calls that led to a failure
_log = logging.getLogger(__name__)
T = TypeVar("T")


class OwnedTasks:
    """The set of tasks of one worker."""

    def __init__(self, limit: int = OWNED_TASKS_MAX) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Starts work that nobody can cancel. Raises `Unavailable` past the limit."""
        if len(self._tasks) >= self._limit:
            work.close()
            raise Unavailable("too many calls under way")
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drain(self, timeout_ms: int) -> int:
        """Waits for all of them, at most so long; returns how many are still under way."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_ms / 1_000)
        return len(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (failure := task.exception()) is None:
            return
        if isinstance(failure, TenantryError):  # told to whoever waits
            _log.debug("owned task %s ended with %s", task.get_name(), type(failure).__name__)
        else:
            # Content could be in the message of an exception: only its kind and place are logged.
            places = reversed(traceback.extract_tb(failure.__traceback__)[-PLACES_LOGGED:])
            where = " < ".join(f"{place.filename}:{place.lineno}" for place in places)
            _log.error("owned task %s: %s at %s", task.get_name(), type(failure).__name__, where)
