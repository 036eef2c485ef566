"""Calls that come at the same time, sent in one round trip."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tenantry.domain.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Grouped(Generic[Item, Result]):
    """Sends what waits as one group, the next group when that is answered.

    A lone call leaves at once. A group that fails fails for all of its calls.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        group_max: int,
        waiting_max: int,
    ) -> None:
        self._send = send
        self._group_max = group_max
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """The item's result, or what its group failed with; `Unavailable` past `waiting_max`."""
        if len(self._waiting) >= self._waiting_max:
            raise Unavailable("too many calls wait for the database")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all(), name="grouped")
        return await answer

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                count = min(self._group_max, len(self._waiting))
                await self._send_group([self._waiting.popleft() for _ in range(count)])
        finally:
            self._sender = None

    async def _send_group(self, group: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._send([item for item, _ in group])
        except asyncio.CancelledError:
            for _, answer in group:
                answer.cancel()
            raise
        except Exception as error:
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(group, results, strict=True):
            if not answer.done():
                answer.set_result(result)
