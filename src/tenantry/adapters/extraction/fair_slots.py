"""Places for work that is short, shared fairly: owners take turns, whoever came first.

While there is more than one place an owner never has them all, so that one whose every piece of
work takes as long as it may leaves a place to the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tenantry.domain.errors import ConcurrencyLimited, Unavailable

WAITING_MAX = 64  # of all owners: each holds a document in memory
WAITING_OF_ONE_MAX = 16
LIMIT = "documents_read_at_once"  # as a refusal names it
_RETRY_MS = 2_000


class FairSlots:
    """Lives on one event loop."""

    def __init__(
        self,
        slots: int,
        *,
        waiting_max: int = WAITING_MAX,
        waiting_of_one_max: int = WAITING_OF_ONE_MAX,
    ) -> None:
        self._free = slots
        self._share = max(1, slots - 1)
        self._waiting_max = waiting_max
        self._waiting_of_one_max = waiting_of_one_max
        self._running: Counter[str] = Counter()
        # Owners in the order in which they are served next.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """A place for the block. ConcurrencyLimited, Unavailable where too many wait already."""
        await self._enter(owner)
        try:
            yield
        finally:
            self._leave(owner)

    async def _enter(self, owner: str) -> None:
        if self._free and self._running[owner] < self._share:
            self._take(owner)
            return
        mine = self._waiting.get(owner, ())
        if len(mine) >= self._waiting_of_one_max:
            raise ConcurrencyLimited(
                "Too many documents wait to be read; send the next ones when these are done.",
                limit=LIMIT,
                retry_after_ms=_RETRY_MS,
            )
        if sum(len(queue) for queue in self._waiting.values()) >= self._waiting_max:
            raise Unavailable("Too many documents wait to be read; try again in a moment.")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(owner)  # its turn came in the same moment
            else:
                self._drop(owner, turn)
            raise

    def _take(self, owner: str) -> None:
        self._free -= 1
        self._running[owner] += 1

    def _leave(self, owner: str) -> None:
        self._free += 1
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        while self._free and (following := self._next()) is not None:
            turn = self._waiting[following].popleft()
            self._take(following)
            self._waiting.move_to_end(following)
            if not self._waiting[following]:
                del self._waiting[following]
            turn.set_result(None)

    def _next(self) -> str | None:
        return next((owner for owner in self._waiting if self._running[owner] < self._share), None)

    def _drop(self, owner: str, turn: asyncio.Future[None]) -> None:
        self._waiting[owner].remove(turn)
        if not self._waiting[owner]:
            del self._waiting[owner]
