"""Whether the worker can serve, asked of the database at most once a second, however many ask.

Anybody may ask, also without a key: a flood of questions costs the database no more than one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tenantry.domain.errors import TenantryError

READY_FOR_S: Final = 1.0


class Readiness:
    """Raises what `check` raised, for as long as its answer holds."""

    def __init__(
        self, check: Callable[[], Awaitable[None]], monotonic: Callable[[], float]
    ) -> None:
        self._check = check
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._until: float | None = None
        self._refusal: TenantryError | None = None

    async def __call__(self) -> None:
        async with self._lock:
            if self._until is None or self._monotonic() >= self._until:
                await self._ask()
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)

    async def _ask(self) -> None:
        try:
            await self._check()
            self._refusal = None
        except TenantryError as refusal:
            self._refusal = refusal
        self._until = self._monotonic() + READY_FOR_S
