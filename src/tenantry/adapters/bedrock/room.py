"""How many connections one worker has open, to all its endpoints together."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Protocol, TypeAlias

from tenantry.adapters.bedrock.connection import Connection


class Keeper(Protocol):
    """What keeps the connections of one endpoint while nobody uses them."""

    def idle_since(self) -> float | None:
        """Of the longest idle one, by the loop's clock; None: it keeps none."""
        ...

    def give_up_one(self) -> None:
        """Ends the longest idle one; its place is the caller's."""
        ...


_Waiter: TypeAlias = "tuple[Keeper, asyncio.Future[Connection | None]]"


class Room:
    """Places for connections, in use or idle. Who opens one takes a place, and frees it with the
    connection's end; while all are in use, those who wait are served in the order of their coming.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._keepers: list[Keeper] = []
        self._waiting: deque[_Waiter] = deque()

    def join(self, keeper: Keeper) -> None:
        self._keepers.append(keeper)

    def leave(self, keeper: Keeper) -> None:
        with contextlib.suppress(ValueError):
            self._keepers.remove(keeper)

    async def take(self, keeper: Keeper, wait_s: float) -> Connection | None:
        """A place, or with its place a connection of the keeper's that fell idle meanwhile.

        Where none is free the connection that is idle for longest, at whatever endpoint, makes
        room. Raises `TimeoutError` where all stay in use.
        """
        if self._free > 0:
            self._free -= 1
            return None
        if self._give_up_one():
            return None
        given: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        waiter = (keeper, given)
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(wait_s):
                return await given
        except BaseException:
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiter)
            if given.done() and not given.cancelled():  # it came as the wait ended
                if (connection := given.result()) is not None:
                    connection.abort()
                self.free()
            raise

    def free(self) -> None:
        """A connection has ended."""
        waiter = self._next()
        if waiter is None:
            self._free += 1
        else:
            waiter[1].set_result(None)

    def hand_over(self, keeper: Keeper, connection: Connection) -> bool:
        """A connection that falls idle, to who waits: itself to one of its own endpoint, its place
        to another one. False: nobody waits.
        """
        if not self._waiting:
            return False
        waiter = self._next()
        if waiter is None:
            return False
        whose, given = waiter
        if whose is keeper:
            given.set_result(connection)
        else:
            connection.abort()
            given.set_result(None)
        return True

    def _next(self) -> _Waiter | None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter[1].done():
                return waiter
        return None

    def _give_up_one(self) -> bool:
        found = [(since, k) for k in self._keepers if (since := k.idle_since()) is not None]
        if not found:
            return False
        min(found, key=lambda each: each[0])[1].give_up_one()
        return True
