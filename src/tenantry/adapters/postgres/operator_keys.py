"""`ports.operator_keys.OperatorKeys` in PostgreSQL. Every step is one statement and one commit."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.ports.operator_keys import KEPT_S, LEASE_S, OperatorClaim

_LEASE: Final = timedelta(seconds=LEASE_S)
_KEEP: Final = timedelta(seconds=KEPT_S)


class PostgresOperatorKeys(Pooled):
    """Over the pool of the control plane."""

    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/operator_keys.sql")

    async def claim(self, key_hmac: bytes, body_hmac: bytes, run_id: UUID) -> OperatorClaim:
        async with self._connection() as connection:
            await connection.execute(self._sql["forget_expired"])
            row = (key_hmac, body_hmac, run_id, _LEASE, _KEEP)
            if await connection.fetchval(self._sql["claim"], *row):
                return OperatorClaim("claimed")
            held = await connection.fetchrow(self._sql["holder"], key_hmac)
        if held is None:
            return OperatorClaim("running")  # freed in this moment: the caller may come again
        if not hmac.compare_digest(held["body_hmac"], body_hmac):
            return OperatorClaim("other_body")
        if held["sealed"] is not None:
            return OperatorClaim("kept", held["sealed"])
        return OperatorClaim("lost" if held["lapsed"] else "running")

    async def keep(self, key_hmac: bytes, run_id: UUID, sealed: bytes) -> None:
        await self._execute("keep", key_hmac, run_id, sealed)

    async def free(self, key_hmac: bytes, run_id: UUID) -> None:
        await self._execute("free", key_hmac, run_id)
