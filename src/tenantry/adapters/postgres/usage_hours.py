"""`ports.alerts.UsageHours`: the ledger's hours, summed once and again while settlements come late.

An hour is summed when it is asked for, `LATE_H` hours later each time once more, and then never:
what settles after the last is told by nobody here (an attempt is written off after 72 hours).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.anomaly import HourFacts, hour_of
from tenantry.domain.ids import TenantId, uuid7

LATE_H = (3, 26, 75)  # estimates, the log of a day, write-offs and what the log says just before
CHUNK = timedelta(days=1)  # of the ledger in one statement
KEPT = timedelta(weeks=14)
CLOCK_WRONG = timedelta(hours=3)  # by how much a gateway's clock may differ


class PostgresUsageHours(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/usage_hours.sql")

    async def hours(
        self, tenant_id: TenantId, start: datetime, through: datetime
    ) -> Sequence[HourFacts]:
        async with self._connection() as connection:
            await self._sum(connection, tenant_id, start, through)
            rows = await connection.fetch(self._sql["hours"], tenant_id, start, through)
        return [_to_facts(row) for row in rows]

    async def _sum(
        self, connection: Any, tenant_id: TenantId, start: datetime, through: datetime
    ) -> None:
        """What is missing, a day a transaction: a long way back can be broken off and goes on."""
        await connection.execute(self._sql["begin_watch"], tenant_id)
        known: datetime | None = None  # what was summed before this call
        while True:
            async with connection.transaction():
                done = await connection.fetchval(self._sql["lock_watch"], tenant_id)
                if done is None:
                    done = start = await self._first_hour(connection, tenant_id, start, through)
                    await connection.execute(self._sql["end_sum"], tenant_id, done)
                done = max(done, start)
                known = known or done
                if done >= through:
                    return
                end = min(done + CHUNK, through)
                for since, until in _spans(start, known, done, end):
                    await connection.execute(
                        self._sql["sum_hours"],
                        tenant_id,
                        since,
                        until,
                        lowest_id(since - CLOCK_WRONG),
                        lowest_id(until + CLOCK_WRONG),
                    )
                await connection.execute(self._sql["forget"], tenant_id, through - KEPT)
                await connection.execute(self._sql["end_sum"], tenant_id, end)

    async def _first_hour(
        self, connection: Any, tenant_id: TenantId, start: datetime, through: datetime
    ) -> datetime:
        """Before which there is nothing to sum: of a new tenant not weeks of nothing."""
        lowest = lowest_id(start - CLOCK_WRONG)
        first: datetime | None = await connection.fetchval(
            self._sql["first_use"], tenant_id, start, lowest
        )
        if first is None:
            return through
        first -= 2 * CLOCK_WRONG  # one clock may have been early, and another late
        return max(start, min(first.replace(minute=0, second=0, microsecond=0), through))


def _spans(
    start: datetime, known: datetime, done: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """The new hours, and those known before whose late settlements are to be seen now."""
    yield done, end
    for late in LATE_H:
        since = max(start, done - timedelta(hours=late))
        until = min(known, end - timedelta(hours=late))
        if since < until:
            yield since, until


def lowest_id(at: datetime) -> Any:
    """No request of that instant or a later one has a lower id, by the gateway's clock."""
    return uuid7(int(at.timestamp() * 1_000), bytes(10))


def _to_facts(row: Any) -> HourFacts:
    return HourFacts(
        hour=hour_of(row["hour"].astimezone(UTC)),
        requests=row["requests"],
        tokens=row["tokens"],
        input_tokens=row["input_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        throttled=row["throttled"],
        charge=row["charge"],
        cost=row["cost"],
    )
