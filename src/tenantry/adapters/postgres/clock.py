"""`ports.clock.DatabaseTime`: what time it is in the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.outbox import enqueue
from tenantry.ports.clock import Moment
from tenantry.ports.outbox import Notice

_NOW = "SELECT pg_catalog.clock_timestamp()"


class PostgresTime:
    def __init__(self, control_pool: Any) -> None:
        self._pool = control_pool

    async def read(self, monotonic: Callable[[], float]) -> Moment:
        with outages_are_unavailable():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                await connection.fetchval(_NOW)  # prepared, so that the next is one round trip
                asked = monotonic()
                at = await connection.fetchval(_NOW)
                answered = monotonic()
        return Moment(at, (asked + answered) / 2, (answered - asked) / 2)

    async def report(self, notice: Notice) -> bool:
        with outages_are_unavailable():
            async with (
                self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
                connection.transaction(),
            ):
                return await enqueue(connection, notice)
