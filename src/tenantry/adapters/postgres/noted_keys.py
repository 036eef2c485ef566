"""Which tenant keys were ever used, in PostgreSQL: `ports.noted_keys`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.ids import TenantId


class PostgresNotedKeys:
    """`ports.noted_keys.NotedKeys`, in units of work of the tenant."""

    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = statements("sql/noted_keys.sql")

    async def versions(self, tenant_id: TenantId) -> Collection[int]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["versions"], tenant_id)
        return {row["version"] for row in rows}

    async def wrapped_by(self, tenant_id: TenantId) -> Mapping[int, frozenset[str] | None]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["wrapped_by"], tenant_id)
        return {
            row["version"]: None if row["kms_arns"] is None else frozenset(row["kms_arns"])
            for row in rows
        }

    async def note(
        self, tenant_id: TenantId, version: int, fingerprint: bytes, kms_arns: Collection[str]
    ) -> bytes | None:
        row = await self._work.fetchrow_of(
            tenant_id, self._sql["note"], version, fingerprint, sorted(kms_arns)
        )
        noted: bytes | None = row["fingerprint"]
        return noted


class PostgresKeyNotes(Pooled):
    """`ports.noted_keys.KeyNotes`, over the control plane's pool."""

    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/noted_keys.sql")

    async def of(self, tenant_ids: Sequence[TenantId]) -> Mapping[TenantId, frozenset[int]]:
        rows = await self._fetch("of_tenants", list(tenant_ids))
        return {TenantId(row["tenant_id"]): frozenset(row["versions"]) for row in rows}

    async def give_up(self, tenant_id: TenantId) -> int:
        [row] = await self._fetch("give_up", tenant_id)
        return int(row["budgets"])
