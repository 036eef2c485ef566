"""Work that nobody waits for: refusals that pass are waited out, its claim is kept meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from tenantry.domain.errors import (
    ConcurrencyLimited,
    Corrupt,
    RateLimited,
    TenantryError,
    Unavailable,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)

LEASE_S = 60.0  # a claim lasts this long after its holder was last heard of
BACKGROUND_ATTEMPTS = 5  # of one step; the next one has as many again
BACKGROUND_PAUSE_S = 2.0  # before the second attempt; doubled each time
_RENEW_LEAST_S = 1.0
# Not a spent budget or quota: those pass in days, and whoever wants to go on says so.
PASSING = (
    Unavailable,
    RateLimited,
    ConcurrencyLimited,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Tries a step so many times where its refusal passes."""

    attempts: int = 1

    async def __call__(self, step: Callable[[], Awaitable[T]]) -> T:
        pause_s = BACKGROUND_PAUSE_S
        for _ in range(self.attempts - 1):
            try:
                return await step()
            except PASSING as error:
                if isinstance(error, Corrupt):
                    raise
            await asyncio.sleep(pause_s)
            pause_s *= 2
        return await step()


AT_ONCE = Patience(1)  # somebody waits, and is told


def in_background() -> Patience:
    return Patience(BACKGROUND_ATTEMPTS)


@asynccontextmanager
async def claimed(keep: Callable[[float], Awaitable[bool]]) -> AsyncIterator[None]:
    """Renews a claim for as long as the block runs; a process that dies stops renewing it."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(max(LEASE_S / 3, _RENEW_LEAST_S))
            with suppress(TenantryError):
                await keep(LEASE_S)

    task = asyncio.create_task(renew(), name="claim")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
