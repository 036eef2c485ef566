"""Rounds of background work: what there is to do, and how long to wait before doing it again.

| every | the ledger's rounds |
|---|---|
| `SWEEP_EVERY_S` | end attempts of dead workers and overdue ones |
| `log_poll_s` | true up unknown attempts from the invocation log |
| `ESTIMATE_EVERY_S` | settle by estimate what no log can tell of |
| `WRITE_OFF_EVERY_S` | write off what no record came for within the hold, by a log that was read |
| `batch_poll_ms` | ask for batch jobs, and settle the records of those that have ended |
| `SWEEP_ANSWERS_EVERY_S` | delete answers of the cache that have expired |
| `SWEEP_SESSIONS_EVERY_S` | delete sessions that have expired, with what was said in them |
| `SWEEP_KEYS_EVERY_S` | delete idempotency keys that have expired, with their answers |
| `PARTITIONS_EVERY_S` | make the ledger's partitions of the months to come |

Every round is idempotent and may run in several processes at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from tenantry.application.answer_store import sweep_answers
from tenantry.application.batch_settling import BatchPorts, settle_batches
from tenantry.application.log_reading import LogReader
from tenantry.application.round import Round
from tenantry.application.sessions import sweep_sessions
from tenantry.application.true_up import TrueUp
from tenantry.ports.answer_cache import ExpiredAnswers
from tenantry.ports.clock import Clock
from tenantry.ports.idempotency import ExpiredKeys
from tenantry.ports.ledger import LedgerKeeper
from tenantry.ports.log_reading import LogReadings
from tenantry.ports.objects import Objects
from tenantry.ports.sessions import ExpiredSessions

SWEEP_EVERY_S = 2.0
SWEEP_ANSWERS_EVERY_S = 20.0
SWEEP_SESSIONS_EVERY_S = 60.0
SWEEP_KEYS_EVERY_S = 10.0
SWEEP_KEYS_MAX = 2_000  # in one statement
SWEEP_KEYS_ROUNDS = 10  # then the rest waits: 2,000 a second are kept up with
ESTIMATE_EVERY_S = 30.0
WRITE_OFF_EVERY_S = 600.0
PARTITIONS_EVERY_S = 3_600.0


def ledger_rounds(
    keeper: LedgerKeeper,
    true_up: TrueUp,
    clock: Clock,
    readings: LogReadings,
    *,
    hold: timedelta,
    estimate_after: timedelta,
    log_poll_s: float,
) -> list[Round]:
    """What ends attempts that nobody waits for any more."""
    reader = LogReader(keeper, true_up, readings)

    async def read_logs() -> object:
        return await reader.read(clock.now(), hold)

    async def settle_by_estimate() -> object:
        return await true_up.settle_by_estimate(clock.now(), estimate_after)

    async def write_off() -> object:
        return await reader.write_off(clock.now(), hold)

    return [
        Round("sweep", SWEEP_EVERY_S, keeper.sweep),
        Round("read-logs", log_poll_s, read_logs),
        Round("estimate", ESTIMATE_EVERY_S, settle_by_estimate),
        Round("write-off", WRITE_OFF_EVERY_S, write_off),
    ]


def batch_round(ports: BatchPorts, poll_s: float) -> Round:
    """What ends batch jobs."""

    async def settle() -> object:
        return await settle_batches(ports)

    return Round("batches", poll_s, settle)


def answers_round(expired: ExpiredAnswers, objects: Objects) -> Round:
    """What deletes answers whose time is over."""

    async def sweep() -> object:
        return await sweep_answers(expired, objects)

    return Round("sweep-answers", SWEEP_ANSWERS_EVERY_S, sweep)


def sessions_round(expired: ExpiredSessions, objects: Objects) -> Round:
    """What ends conversations whose time is over."""

    async def sweep() -> object:
        return await sweep_sessions(expired, objects)

    return Round("sweep-sessions", SWEEP_SESSIONS_EVERY_S, sweep)


def idempotency_round(expired_keys: ExpiredKeys) -> Round:
    """What keeps the table of idempotency keys small."""

    async def sweep_keys() -> object:
        for _ in range(SWEEP_KEYS_ROUNDS):
            if await expired_keys.sweep(SWEEP_KEYS_MAX) < SWEEP_KEYS_MAX:
                break
        return None

    return Round("sweep-keys", SWEEP_KEYS_EVERY_S, sweep_keys)


def partitions_round(extend: Callable[[], Awaitable[int]]) -> Round:
    """What gives every month's ledger a place of its own before the month begins."""
    return Round("partitions", PARTITIONS_EVERY_S, extend)
