"""Which vector engines hold passages of a tenant, in PostgreSQL: `ports.vector_rooms`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.ids import TenantId
from tenantry.domain.vector_room import VectorRoom


class PostgresVectorRooms:
    """`ports.vector_rooms.VectorRooms`, in units of work of the tenant."""

    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = statements("sql/vector_rooms.sql")

    async def opened(self, tenant_id: TenantId, engine: str) -> None:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["opened"], tenant_id, engine)

    async def of(self, tenant_id: TenantId) -> Sequence[VectorRoom]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["of_tenant"], tenant_id)
        return [VectorRoom(row["engine"], row["ending"]) for row in rows]

    async def emptied(self, tenant_id: TenantId, engine: str, unused_s: float) -> None:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["emptied"], tenant_id, engine, unused_s)


class PostgresEngineBook(Pooled):
    """`ports.vector_rooms.EngineBook`, over the control plane's pool."""

    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/vector_rooms.sql")

    async def open_engines(self) -> Mapping[str, int]:
        rows = await self._fetch("open_engines")
        return {row["engine"]: row["tenants"] for row in rows}

    async def declare_gone(self, engine: str) -> int:
        return await self._execute("declare_gone", engine)
