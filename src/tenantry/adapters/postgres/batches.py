"""Batch jobs in PostgreSQL: a tenant's own, and all of them for the worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from tenantry.adapters.postgres.outbox import enqueue
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.ids import TenantId
from tenantry.ports.batch import BatchJob, BatchState, OpenJob
from tenantry.ports.model import Upstream
from tenantry.ports.outbox import Notice

JOB_ENDED = "job.ended"
ENDS: frozenset[BatchState] = frozenset({"settled", "refused"})
_OUTCOMES = ("failed", "partly_failed", "completed")
_FIRST = (datetime(1, 1, 1, tzinfo=UTC), "", UUID(int=0))
_OWN_COLUMNS = ("tenant_id", "request_id", "state", "job_arn", "message", "created_at")


class PostgresBatchNotes:
    """`ports.batch.BatchNotes`."""

    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = statements("sql/batches.sql")

    async def plan(self, job: BatchJob) -> None:
        async with self._work.writing(job.tenant_id) as unit:
            await unit.execute(self._sql["plan"], job.tenant_id, job.request_id, _definition(job))

    async def advance(
        self, job: BatchJob, to: BatchState, *, job_arn: str | None = None, message: str = ""
    ) -> bool:
        async with self._work.writing(job.tenant_id) as unit:
            values = _advance_values(job, to, job_arn, message)
            return await unit.fetchval(self._sql["advance"], *values) is not None


class PostgresBatchBook(Pooled):
    """`ports.batch.BatchBook`, as `control`."""

    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/batches.sql")

    async def open_jobs(self, after: BatchJob | None, limit: int) -> Sequence[OpenJob]:
        place = _FIRST if after is None else (after.created_at, after.tenant_id, after.request_id)
        rows = await self._fetch("open_jobs", *place, limit)
        return [OpenJob(to_job(row), row["age_s"], row["waits"]) for row in rows]

    async def listed(self, tenant_id: TenantId, limit: int) -> Sequence[BatchJob]:
        return [to_job(row) for row in await self._fetch("listed", tenant_id, limit)]

    async def advance(
        self,
        job: BatchJob,
        to: BatchState,
        *,
        job_arn: str | None = None,
        message: str = "",
        answered: int = 0,
    ) -> bool:
        values = _advance_values(job, to, job_arn, message)
        async with self._transaction() as connection:
            advanced = await connection.fetchval(self._sql["advance"], *values) is not None
            if advanced and to in ENDS:
                await enqueue(connection, _ended(job, to, answered))
        return advanced


def _advance_values(
    job: BatchJob, to: BatchState, job_arn: str | None, message: str
) -> tuple[object, ...]:
    return job.tenant_id, job.request_id, job.state, to, job_arn, message


def _ended(job: BatchJob, state: BatchState, answered: int) -> Notice:
    """What a tenant may hear: not where its job ran, nor what the provider said of it."""
    body = {
        "id": str(job.request_id),
        "state": state,
        "model": job.model,
        "operation": job.operation,
        "records": job.records,
        "answered": answered,
        "outcome": _OUTCOMES[(answered > 0) + (answered >= job.records)],
    }
    return Notice(job.tenant_id, JOB_ENDED, str(job.request_id), body)


def _definition(job: BatchJob) -> str:
    document = dataclasses.asdict(job)
    for name in _OWN_COLUMNS:
        del document[name]
    return orjson.dumps(document).decode()


def to_job(row: Mapping[str, Any]) -> BatchJob:
    """A row of `batch_job`."""
    definition = orjson.loads(row["definition"])
    upstream = Upstream(**definition.pop("upstream"))
    return BatchJob(upstream=upstream, **definition, **{name: row[name] for name in _OWN_COLUMNS})
