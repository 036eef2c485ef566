"""`ports.clock.DatabaseTime`: what time it is in the database."""

from __future__ import annotations

from collections.abc import Callable

from tenantry.adapters.postgres.outbox import enqueue
from tenantry.adapters.postgres.pooled import NOW, Pooled
from tenantry.ports.clock import Moment
from tenantry.ports.outbox import Notice


class PostgresTime(Pooled):
    async def read(self, monotonic: Callable[[], float]) -> Moment:
        async with self._connection() as connection:
            await connection.fetchval(NOW)  # prepared, so that the next is one round trip
            asked = monotonic()
            at = await connection.fetchval(NOW)
            answered = monotonic()
        return Moment(at, (asked + answered) / 2, (answered - asked) / 2)

    async def report(self, notice: Notice) -> bool:
        async with self._transaction() as connection:
            return await enqueue(connection, notice) is not None
