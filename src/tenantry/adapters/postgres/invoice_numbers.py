"""`ports.invoice_numbers.SeriesBook`, over the control plane's pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.refusals import refusals_are_conflicts
from tenantry.ports.invoice_numbers import Gap


class PostgresSeries(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/invoice_numbers.sql")

    async def series(self) -> Mapping[str, int]:
        return {row["series"]: row["last"] for row in await self._fetch("series")}

    async def digests(self, numbers: Sequence[str]) -> Mapping[str, str]:
        return {row["number"]: row["sha256"] for row in await self._fetch("digests", numbers)}

    async def gaps(self, limit: int) -> list[Gap]:
        return [Gap(*row) for row in await self._fetch("gaps", limit)]

    async def continue_after(self, series: str, last: int, by: str, reason: str) -> Gap:
        with refusals_are_conflicts():
            [row] = await self._fetch("continue_after", series, last, by, reason)
        return Gap(*row)
