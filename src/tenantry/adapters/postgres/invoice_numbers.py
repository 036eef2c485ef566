"""`ports.invoice_numbers.SeriesBook`, over the control plane's pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.statements import statements
from tenantry.domain.errors import Conflict
from tenantry.ports.invoice_numbers import Gap


class PostgresSeries:
    def __init__(self, control_pool: Any) -> None:
        self._pool = control_pool
        self._sql = statements("sql/invoice_numbers.sql")

    async def series(self) -> Mapping[str, int]:
        return {row["series"]: row["last"] for row in await self._fetch("series")}

    async def digests(self, numbers: Sequence[str]) -> Mapping[str, str]:
        return {row["number"]: row["sha256"] for row in await self._fetch("digests", numbers)}

    async def gaps(self, limit: int) -> list[Gap]:
        return [Gap(*row) for row in await self._fetch("gaps", limit)]

    async def continue_after(self, series: str, last: int, by: str, reason: str) -> Gap:
        try:
            [row] = await self._fetch("continue_after", series, last, by, reason)
        except asyncpg.ObjectNotInPrerequisiteStateError as refused:
            words = str(refused)
            raise Conflict(f"{words[:1].upper()}{words[1:]}.") from None
        return Gap(*row)

    async def _fetch(self, name: str, *values: object) -> list[Any]:
        with outages_are_unavailable():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                rows: list[Any] = await connection.fetch(self._sql[name], *values)
        return rows
