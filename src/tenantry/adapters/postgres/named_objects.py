"""`ports.object_mark.NamedObjects`, in units of work of the tenant."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.ids import TenantId
from tenantry.ports.objects import ObjectKind


class PostgresNamedObjects:
    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = statements("sql/named_objects.sql")

    async def needed(self, tenant_id: TenantId) -> Mapping[ObjectKind, frozenset[str]]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["named"], tenant_id)
        kinds = {ObjectKind(row["kind"]) for row in rows}
        return {
            kind: frozenset(row["name"] for row in rows if row["kind"] == kind) for kind in kinds
        }
