"""The background worker: what must happen although nobody asks.

| every | does |
|---|---|
| `SWEEP_EVERY_S` | ends attempts of dead workers and overdue ones |
| `invocation_log_poll_ms` | trues up unknown attempts from the invocation log |
| `SWEEP_KEYS_EVERY_S` | deletes idempotency keys that have expired, with their answers |
| `ESTIMATE_EVERY_S` | settles by estimate what no log can tell of |
| `WRITE_OFF_EVERY_S` | writes off what no record came for within `unknown_hold_h` |

Owns: when. Does not own: what. A failed round is logged and the next one tries again. Several
workers may run; every step is idempotent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from tenantry.application.true_up import TrueUp
from tenantry.domain.errors import Unavailable
from tenantry.ports.clock import Clock
from tenantry.ports.idempotency import ExpiredKeys
from tenantry.ports.ledger import LedgerKeeper

SWEEP_EVERY_S = 2.0
SWEEP_KEYS_EVERY_S = 10.0
SWEEP_KEYS_MAX = 2_000  # in one statement
SWEEP_KEYS_ROUNDS = 10  # then the rest waits: 2,000 a second are kept up with
ESTIMATE_EVERY_S = 30.0
WRITE_OFF_EVERY_S = 600.0
_log = logging.getLogger(__name__)


async def run_worker(
    keeper: LedgerKeeper,
    true_up: TrueUp,
    clock: Clock,
    *,
    hold: timedelta,
    estimate_after: timedelta,
    log_poll_s: float,
    stop: asyncio.Event,
    expired_keys: ExpiredKeys | None = None,
) -> None:
    """Runs until `stop` is set; an outage of the database is waited out."""

    async def read_logs() -> object:
        return await true_up.read_logs(clock.now(), hold)

    async def settle_by_estimate() -> object:
        return await true_up.settle_by_estimate(clock.now(), estimate_after)

    async def write_off() -> object:
        ended = await keeper.write_off(clock.now() - hold)
        if ended:
            _log.warning("alert: %d attempts were written off: no log record in %s", ended, hold)
        return ended

    async def sweep_keys() -> object:
        for _ in range(SWEEP_KEYS_ROUNDS):
            if expired_keys is None or await expired_keys.sweep(SWEEP_KEYS_MAX) < SWEEP_KEYS_MAX:
                break
        return None

    await asyncio.gather(
        _every(SWEEP_EVERY_S, keeper.sweep, stop),
        _every(SWEEP_KEYS_EVERY_S, sweep_keys, stop),
        _every(log_poll_s, read_logs, stop),
        _every(ESTIMATE_EVERY_S, settle_by_estimate, stop),
        _every(WRITE_OFF_EVERY_S, write_off, stop),
    )


async def _every(seconds: float, step: Callable[[], Awaitable[Any]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await step()
        except Unavailable as outage:
            _log.warning("the database is out of reach: %s", outage.message)
        except Exception:
            # A fault of ours in one round must end neither the later ones nor the other steps.
            _log.exception("a round of background work failed")
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            continue
