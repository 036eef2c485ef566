"""`ports.log_reading.LogReadings` in PostgreSQL, as `control`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tenantry.adapters.postgres.outbox import enqueue
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.ports.log_reading import Reading, Waiting
from tenantry.ports.outbox import Notice

PROBLEM_CHARACTERS_MAX = 500  # of what a bucket says of itself


class PostgresLogReadings(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/log_readings.sql")

    async def waiting(self) -> list[Waiting]:
        rows = await self._fetch("waiting")
        return [_to_waiting(dict(row)) for row in rows]

    async def note(self, reading: Reading) -> None:
        await self._fetch(
            "note", reading.account, reading.region, sorted(reading.logs), reading.read_at,
            reading.told_from, reading.told_to,
        )  # fmt: skip

    async def note_away(
        self, account: str, region: str, logs: frozenset[str], since: datetime, problem: str
    ) -> None:
        said = "".join(c if c.isprintable() else " " for c in problem)[:PROBLEM_CHARACTERS_MAX]
        await self._fetch("note_away", account, region, sorted(logs), since, said)

    async def tell(self, notice: Notice) -> bool:
        async with self._transaction() as connection:
            return await enqueue(connection, notice) is not None


def _to_waiting(row: dict[str, Any]) -> Waiting:
    gone = {name: datetime.fromisoformat(at) for name, at in json.loads(row["gone"]).items()}
    return Waiting(**{**row, "logs": frozenset(row["logs"]), "gone": gone})
