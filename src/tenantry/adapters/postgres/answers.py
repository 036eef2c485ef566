"""The index of answers that may be given again, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId
from tenantry.ports.answer_cache import StoredAnswer


class PostgresAnswerIndex:
    """`ports.answer_cache.AnswerIndex`."""

    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = statements("sql/answers.sql")

    async def find(self, tenant_id: TenantId, name: bytes) -> str | None:
        async with self._work.reading(tenant_id) as unit:
            found: str | None = await unit.fetchval(self._sql["find"], tenant_id, name)
        return found

    async def keep(self, answer: StoredAnswer, ttl_s: int, most: int) -> bool:
        home = answer.home
        values: tuple[object, ...] = (home.tenant_id, answer.name, answer.object_id, home.account)
        values += (ttl_s, most, answer.request_id, answer.user_hash)
        async with self._work.writing(home.tenant_id) as unit:
            return await unit.fetchval(self._sql["keep"], *values) is not None

    async def take_out(self, tenant_id: TenantId, name: bytes, object_id: str) -> None:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["take_out"], tenant_id, name, object_id)


class PostgresExpiredAnswers(Pooled):
    """`ports.answer_cache.ExpiredAnswers`, as `control`."""

    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/answers.sql")

    async def expired(self, limit: int) -> Sequence[StoredAnswer]:
        rows = await self._fetch("expired", limit)
        return [
            StoredAnswer(
                Home(TenantId(row["tenant_id"]), row["account"]),
                bytes(row["name_hmac"]),
                row["object_id"],
            )
            for row in rows
        ]

    async def forget(self, answer: StoredAnswer) -> None:
        await self._fetch("forget", answer.home.tenant_id, answer.name, answer.object_id)
