"""How many attempts have not ended, and since when, over all tenants; as control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.statements import statements


class PostgresOpenAttempts:
    def __init__(self, control_pool: Any) -> None:
        self._pool = control_pool
        self._sql = statements("sql/open_attempts.sql")

    async def counts(self) -> Mapping[str, tuple[int, float]]:
        """Their number and the age of the oldest in seconds, by `open`, `unknown` and `batch`: a
        running batch job's. A state that none is in is left out. Raises `Unavailable`."""
        with outages_are_unavailable():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                rows = await connection.fetch(self._sql["counts"])
        return {
            row["state"]: (row["attempts"], max(0.0, row["oldest"].total_seconds())) for row in rows
        }
