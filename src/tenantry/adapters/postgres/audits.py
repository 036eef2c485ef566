"""`ports.audits.AuditBook` in PostgreSQL. Every step is one statement and one commit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tenantry.adapters.postgres.pooled import Pooled
from tenantry.domain.audit import Outcome, Report, report_from
from tenantry.domain.errors import NotFound
from tenantry.domain.ids import check_cursor, prefixed, uuid7
from tenantry.ports.audits import StoredAudit
from tenantry.ports.clock import Clock

_COLUMNS = {
    Outcome.HELD: "held",
    Outcome.FOUND: "found",
    Outcome.VOID: "void",
    Outcome.NOT_RUN: "not_run",
}


class PostgresAudits(Pooled):
    """Over the pool of the control plane."""

    def __init__(self, control_pool: Any, clock: Clock) -> None:
        super().__init__(control_pool, "sql/audits.sql")
        self._clock = clock

    async def add(self, report: Report) -> StoredAudit:
        unix_ms = int(self._clock.now().timestamp() * 1_000)
        counts = report.counts
        row = await self._fetchrow(
            "add",
            prefixed("aud", uuid7(unix_ms, self._clock.random(10))),
            report.started_at,
            report.ended_at,
            report.version,
            report.url,
            *(counts[outcome] for outcome in _COLUMNS),
            json.dumps(report.to_json()),
        )
        return _stored(row)

    async def page(self, *, before: str | None, limit: int) -> Sequence[StoredAudit]:
        check_cursor("aud", before)
        rows = await self._fetch("page", before, limit)
        return [_stored(row) for row in rows]

    async def get(self, audit_id: str) -> tuple[StoredAudit, Report]:
        row = await self._fetchrow("get", audit_id)
        if row is None:
            raise NotFound("There is no such audit.")
        return _stored(row), report_from(json.loads(row["report"]))


def _stored(row: Any) -> StoredAudit:
    return StoredAudit(
        id=row["audit_id"],
        stored_at=row["stored_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        version=row["version"],
        url=row["url"],
        counts={outcome: row[column] for outcome, column in _COLUMNS.items()},
    )
