"""What PostgreSQL names of a tenant's content: `ports.shred.TenantContent`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tenantry.adapters.postgres.batches import to_job
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.ids import TenantId
from tenantry.ports.batch import BatchJob

ERASE_TIMEOUT_S: Final = 3_600.0  # for all rows of a tenant
JOBS_MAX: Final = 100_000


class PostgresContent:
    """In units of work of the tenant: nothing else can be reached."""

    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = {**statements("sql/shred.sql"), "jobs": statements("sql/batches.sql")["listed"]}

    async def accounts(self, tenant_id: TenantId) -> frozenset[str]:
        rows = await self._read("content_accounts", tenant_id, tenant_id)
        return frozenset(row["account"] for row in rows)

    async def jobs(self, tenant_id: TenantId) -> Sequence[BatchJob]:
        return [to_job(row) for row in await self._read("jobs", tenant_id, tenant_id, JOBS_MAX)]

    async def count(self, tenant_id: TenantId) -> Mapping[str, int]:
        rows = await self._read("count_content", tenant_id, tenant_id)
        return {row["content"]: row["rows_found"] for row in rows}

    async def erase(self, tenant_id: TenantId) -> None:
        async with self._work.writing(tenant_id) as unit:
            await unit.fetch(self._sql["erase_content"], timeout_s=ERASE_TIMEOUT_S)
            # Last, because it takes the lock under which the tenant's open requests are settled.
            await unit.fetch(self._sql["erase_budgets"], timeout_s=ERASE_TIMEOUT_S)

    async def _read(self, name: str, tenant_id: TenantId, *values: object) -> list[Any]:
        async with self._work.reading(tenant_id) as unit:
            return await unit.fetch(self._sql[name], *values, timeout_s=ERASE_TIMEOUT_S)
