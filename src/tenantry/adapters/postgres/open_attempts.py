"""How many attempts have not ended, and since when, over all tenants; as control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled


class PostgresOpenAttempts(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/open_attempts.sql")

    async def counts(self) -> Mapping[str, tuple[int, float]]:
        """Their number and the age of the oldest in seconds, by `open`, `unknown` and `batch`: a
        running batch job's. A state that none is in is left out. Raises `Unavailable`."""
        rows = await self._fetch("counts")
        return {
            row["state"]: (row["attempts"], max(0.0, row["oldest"].total_seconds())) for row in rows
        }
