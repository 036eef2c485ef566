"""How far each shred is, in PostgreSQL: `ports.shred.ShredBook`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.errors import NotFound
from tenantry.domain.ids import TenantId
from tenantry.domain.shred import Shred

LEDGER_TIMEOUT_S: Final = 3_600.0  # all that a tenant ever used is looked through


class PostgresShreds(Pooled):
    """Over the control plane's pool."""

    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/shred.sql")

    async def begin(self, tenant_id: TenantId, asked_by: str) -> Shred:
        async with self._transaction() as connection:
            await connection.execute(self._sql["lock_billing"], tenant_id)
            if not await connection.fetchval(self._sql["refuse_tenant"], tenant_id):
                raise NotFound("There is no such tenant.")
            await connection.execute(self._sql["revoke_keys"], tenant_id)
            await connection.execute(self._sql["begin"], tenant_id, asked_by)
            await connection.execute(self._sql["end_contract"], tenant_id)
            return _to_shred(await connection.fetchrow(self._sql["get"], tenant_id))

    async def get(self, tenant_id: TenantId) -> Shred | None:
        async with self._transaction() as connection:
            row = await connection.fetchrow(self._sql["get"], tenant_id)
        return None if row is None else _to_shred(row)

    async def unfinished(self, limit: int | None = None) -> Sequence[TenantId]:
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["unfinished"], limit)
        return [TenantId(row["tenant_id"]) for row in rows]

    async def kms_retired(
        self, tenant_id: TenantId, kms_key: str, deletion_at: datetime | None
    ) -> None:
        await self._step("kms_retired", tenant_id, kms_key, deletion_at)

    async def kms_left(self, tenant_id: TenantId, arns: Collection[str]) -> None:
        await self._step("kms_left", tenant_id, list(arns))

    async def troubled(self, tenant_id: TenantId, why: str | None) -> bool:
        return await self._execute("troubled", tenant_id, why) > 0

    async def keys_destroyed(self, tenant_id: TenantId) -> Shred:
        return await self._step("keys_destroyed", tenant_id)

    async def processes_ended(self, tenant_id: TenantId) -> Shred:
        return await self._step("processes_ended", tenant_id)

    async def found(self, tenant_id: TenantId, counts: Mapping[str, int]) -> Shred:
        return await self._step("found", tenant_id, orjson.dumps(dict(counts)).decode())

    async def erased(self, tenant_id: TenantId) -> Shred:
        return await self._step("erased", tenant_id)

    async def certified(self, tenant_id: TenantId, certificate: str, signature: bytes) -> Shred:
        return await self._step("certified", tenant_id, certificate, signature)

    async def keys_revoked(self, tenant_id: TenantId) -> int:
        async with self._transaction() as connection:
            return int(await connection.fetchval(self._sql["keys_revoked"], tenant_id))

    async def accounts(self, tenant_id: TenantId) -> frozenset[str]:
        async with self._transaction() as connection:
            await connection.execute(self._sql["patiently"], f"{LEDGER_TIMEOUT_S:.0f}s")
            rows = await connection.fetch(
                self._sql["ledger_accounts"], tenant_id, timeout=LEDGER_TIMEOUT_S
            )
        return frozenset(row["account"] for row in rows)

    async def _step(self, name: str, tenant_id: TenantId, *values: object) -> Shred:
        """Writes a step where nobody has, and returns what is there."""
        async with self._transaction() as connection:
            await connection.execute(self._sql[name], tenant_id, *values)
            return _to_shred(await connection.fetchrow(self._sql["get"], tenant_id))


def _to_shred(row: Any) -> Shred:
    return Shred(
        tenant_id=TenantId(row["tenant_id"]),
        asked_by=row["asked_by"],
        asked_at=row["asked_at"],
        keys_destroyed_at=row["keys_destroyed_at"],
        kms_key=row["kms_key"],
        kms_deletion_at=row["kms_deletion_at"],
        kms_left=tuple(row["kms_left"]),
        trouble=row["trouble"],
        processes_at=row["processes_at"],
        found=None if row["found"] is None else orjson.loads(row["found"]),
        erased_at=row["erased_at"],
        certificate=row["certificate"],
        signature=row["signature"],
    )
