"""`ports.cloud_bill.CostBook`: the provider's book by day, as the operator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from tenantry.adapters.postgres.archived import archived_through
from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.statements import statements
from tenantry.domain.billed_later import late_s
from tenantry.domain.price import BATCH_TIER, STANDARD_TIER
from tenantry.ports.cloud_bill import DayCost

ROWS = 5_000  # in one batch
TIMEOUT_S = 600  # the first batch waits until all is summed


class PostgresCostBook:
    def __init__(self, operator_pool: Any) -> None:
        self._operator = operator_pool
        self._sql = statements("sql/bill.sql")

    async def day_costs(self, start: date, end: date) -> AsyncIterator[Sequence[DayCost]]:
        with outages_are_unavailable():
            async with (
                self._operator.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                await connection.execute("SET LOCAL timezone = 'UTC'")
                await connection.execute(f"SET LOCAL statement_timeout = '{TIMEOUT_S}s'")
                late = (late_s(STANDARD_TIER), BATCH_TIER, late_s(BATCH_TIER))
                cursor = await connection.cursor(self._sql["day_costs"], start, end, *late)
                while rows := await cursor.fetch(ROWS, timeout=TIMEOUT_S):
                    yield [DayCost(**row) for row in rows]

    async def archived_through(self) -> datetime | None:
        return await archived_through(self._operator)

    async def tenant_names(self) -> Mapping[str, str]:
        with outages_are_unavailable():
            async with self._operator.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                rows = await connection.fetch(self._sql["tenant_names"])
        by_name = {row["name"]: row["tenant_id"] for row in rows}
        return {**by_name, **{row["tenant_id"]: row["tenant_id"] for row in rows}}
