"""What a worker makes when it is first asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T", bound=object)


class MadeOnce(Generic[T]):
    """What `make` makes, in a thread. Whoever asks while it is made waits for the same, and who
    goes away ends nothing. What failed is told to them, and made again for the next."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: T | None = None
        self._making: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        if self._made is not None:
            return self._made
        if self._making is None:
            self._making = asyncio.create_task(self._run(), name="made once")
        return await asyncio.shield(self._making)

    async def _run(self) -> T:
        try:
            self._made = await asyncio.to_thread(self._make)
            return self._made
        finally:
            self._making = None
