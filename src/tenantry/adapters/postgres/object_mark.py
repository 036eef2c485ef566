"""`ports.object_mark.DatabaseMark`, over the control plane's pool."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tenantry.adapters.postgres.one_primary import UNTOLD
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.errors import Unavailable
from tenantry.domain.object_mark import DatabaseState, ObjectMark

LINES_MAX = 1_000  # remembered; a mark of one before them takes an operator's word


class PostgresMark(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/object_mark.sql")

    async def read(self, line: str | None) -> DatabaseState:
        try:
            row = await self._fetchrow("read", line)
        except UNTOLD as refused:
            raise Unavailable(
                "The database does not tell which one it is, so nothing that no row names is"
                f" deleted: {refused}."
            ) from refused
        return DatabaseState(row["database"], row["used"], row["at"])

    async def advance(self, mark: ObjectMark, line: str) -> datetime | None:
        row = await self._fetchrow("advance", mark.line, mark.at, line, LINES_MAX)
        return None if row is None else row["at"]

    async def adopt(self, line: str) -> datetime:
        at: datetime = (await self._fetchrow("adopt", line))["at"]
        return at
