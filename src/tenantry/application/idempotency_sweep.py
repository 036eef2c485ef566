"""Idempotency keys whose time is over go, with their answers."""

from __future__ import annotations

from typing import Final

from tenantry.application.round import Round
from tenantry.ports.idempotency import ExpiredKeys

SWEEP_EVERY_S: Final = 10.0
SWEEP_MAX: Final = 2_000  # in one statement
SWEEPS_MAX: Final = 10  # of one round; the rest waits: 2,000 a second are kept up with


def idempotency_round(expired_keys: ExpiredKeys) -> Round:
    """What keeps the table of idempotency keys small."""

    async def sweep() -> None:
        for _ in range(SWEEPS_MAX):
            if await expired_keys.sweep(SWEEP_MAX) < SWEEP_MAX:
                break

    return Round("sweep-keys", SWEEP_EVERY_S, sweep)
