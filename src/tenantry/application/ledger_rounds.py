"""The ledger's rounds: what there is to do, and how long to wait before doing it again.

| every | what |
|---|---|
| `SWEEP_EVERY_S` | end attempts of dead workers and overdue ones |
| `log_poll_s` | true up unknown attempts from the invocation log |
| `ESTIMATE_EVERY_S` | settle by estimate what no log can tell of |
| `WRITE_OFF_EVERY_S` | write off what no record came for within the hold, by a log that was read |
| `batch_poll_ms` | ask for batch jobs, and settle the records of those that have ended |
| `PARTITIONS_EVERY_S` | make the ledger's partitions of the months to come |

Every round is idempotent and may run in several processes at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from tenantry.application.batch_settling import BatchPorts, settle_batches
from tenantry.application.log_reading import LogReader
from tenantry.application.round import Round
from tenantry.application.true_up import TrueUp
from tenantry.ports.clock import Clock
from tenantry.ports.ledger import LedgerKeeper
from tenantry.ports.log_reading import LogReadings

SWEEP_EVERY_S = 2.0
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


def partitions_round(extend: Callable[[], Awaitable[int]]) -> Round:
    """What gives every month's ledger a place of its own before the month begins."""
    return Round("partitions", PARTITIONS_EVERY_S, extend)
