"""Uploads in work that outlive the request that brought them: bounded in all and for each tenant.

Not `OwnedTasks`: shutdown breaks them off, and the next start resumes what was accepted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from tenantry.domain.errors import ConcurrencyLimited, NotFound, TenantryError, Unavailable

TASKS_MAX = 64  # uploads in work at once in one process; more are refused, not queued
TASKS_OF_ONE_MAX = 32  # of one tenant, so that nobody's uploads keep out another's
TASKS_LIMIT = "documents_indexed_at_once"  # as a refusal names it
_RETRY_MS = 2_000
_log = logging.getLogger(__name__)
T = TypeVar("T")


class IndexingTasks:
    """Tasks that a request starts and may leave behind. `close` ends and awaits them all."""

    def __init__(
        self, *, tasks_max: int = TASKS_MAX, tasks_of_one_max: int = TASKS_OF_ONE_MAX
    ) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._of: Counter[str] = Counter()
        self._tasks_max = tasks_max
        self._tasks_of_one_max = tasks_of_one_max

    def full(self, owner: str = "") -> bool:
        return len(self._tasks) >= self._tasks_max or self._has_all(owner)

    def check(self, owner: str) -> None:
        """ConcurrencyLimited where the owner's work is as much as it may be; else Unavailable."""
        if self._has_all(owner):
            raise ConcurrencyLimited(
                "Too many documents are being indexed; send the next ones when these are done.",
                limit=TASKS_LIMIT,
                retry_after_ms=_RETRY_MS,
            )
        if self.full():
            raise Unavailable("Too many documents are being indexed; try again in a moment.")

    def start(self, work: Coroutine[Any, Any, T], name: str, owner: str = "") -> asyncio.Task[T]:
        """`name`: a word for what is done, and what it is done to."""
        try:
            self.check(owner)
        except TenantryError:
            work.close()
            raise
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        self._of[owner] += 1
        task.add_done_callback(lambda done: self._ended(done, owner))
        return task

    async def settle(self) -> None:
        """Wait until nothing is left to do."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.settle()

    def _has_all(self, owner: str) -> bool:
        return bool(owner) and self._of[owner] >= self._tasks_of_one_max

    def _ended(self, task: asyncio.Task[Any], owner: str) -> None:
        self._tasks.discard(task)
        self._of[owner] -= 1
        if not self._of[owner]:
            del self._of[owner]
        if task.cancelled() or isinstance(task.exception(), NotFound):
            return  # the document was deleted meanwhile
        failure = task.exception()
        if failure is not None:
            # Its refusal reached the caller or the document's state; this is for the operator. In
            # an outage many say the same, so that only what is beside the words tells them apart.
            kind = type(failure).__name__
            said = f"{kind}: {failure.message}" if isinstance(failure, Unavailable) else kind
            about = f"{task.get_name()} tenant {owner}" if owner else task.get_name()
            what = task.get_name().partition(" ")[0]
            _log.warning("%s ended: %s", what, said, extra={"about": about})
