"""The index of conversations, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.statements import rows_of, statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.document import Home
from tenantry.domain.errors import BadRequest, Conflict, NotFound
from tenantry.domain.ids import TenantId
from tenantry.ports.sessions import ExpiredSession, Held, SessionName

CROWDED_OUT_MAX = 10  # by one new conversation, so that a lowered bound is reached in steps


class PostgresSessionIndex:
    """`ports.sessions.SessionIndex`."""

    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = statements("sql/sessions.sql")

    async def begin(
        self,
        name: SessionName,
        holder: str,
        user_hash: str | None,
        *,
        lease_s: int,
        ttl_s: int,
        most: int,
    ) -> bool:
        tenant_id = name.home.tenant_id
        whose = (tenant_id, name.session_id, user_hash, name.owner, name.home.account)
        async with self._work.writing(tenant_id) as unit:
            begun = await unit.fetchval(self._sql["begin"], *whose, holder, lease_s, ttl_s)
            await unit.execute(self._sql["crowd_out"], tenant_id, most, CROWDED_OUT_MAX)
        return begun is not None

    async def hold(self, name: SessionName, holder: str, *, lease_s: int, turns: int) -> Held:
        tenant_id, session_id = name.home.tenant_id, name.session_id
        async with self._work.writing(tenant_id) as unit:
            row = await unit.fetchrow(self._sql["find"], tenant_id, session_id, name.owner)
            if row is None:
                raise NotFound("There is no such session.")
            if row["turns"] >= turns:
                raise BadRequest(f"The session has had its {turns} turns; begin another.")
            if row["held"]:
                raise Conflict("Another turn of this session is under way.")
            await unit.execute(self._sql["hold"], tenant_id, session_id, holder, lease_s)
        return Held(row["object_id"], row["turns"], tuple(row["loose"]))

    async def beat(self, name: SessionName, holder: str, *, lease_s: int) -> bool:
        tenant_id = name.home.tenant_id
        values = (tenant_id, name.session_id, holder, lease_s)
        async with self._work.writing(tenant_id) as unit:
            return await unit.fetchval(self._sql["beat"], *values) is not None

    async def keep(
        self, name: SessionName, holder: str, size_bytes: int, deleted: Sequence[str]
    ) -> bool:
        tenant_id = name.home.tenant_id
        values = (tenant_id, name.session_id, holder, size_bytes, list(deleted))
        async with self._work.writing(tenant_id) as unit:
            return await unit.fetchval(self._sql["keep"], *values) is not None

    async def release(self, name: SessionName, holder: str) -> None:
        tenant_id = name.home.tenant_id
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["release"], tenant_id, name.session_id, holder)

    async def end_of_user(self, home: Home, user_hashes: Sequence[str]) -> int:
        async with self._work.writing(home.tenant_id) as unit:
            tag = await unit.execute(self._sql["end_of_user"], home.tenant_id, list(user_hashes))
        return rows_of(tag)


class PostgresExpiredSessions(Pooled):
    """`ports.sessions.ExpiredSessions`, as `control`."""

    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/sessions.sql")

    async def expired(self, limit: int) -> Sequence[ExpiredSession]:
        rows = await self._fetch("expired", limit)
        return [
            ExpiredSession(
                Home(TenantId(row["tenant_id"]), row["account"]),
                row["session_id"],
                [name for name in (*row["loose"], row["object_id"]) if name is not None],
            )
            for row in rows
        ]

    async def forget(self, tenant_id: TenantId, session_id: str) -> None:
        await self._fetch("forget", tenant_id, session_id)
