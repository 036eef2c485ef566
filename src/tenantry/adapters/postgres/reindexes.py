"""Reindexes in PostgreSQL: `ports.reindexing.Reindexes`. The statements are in `sql/reindex.sql`.

Every writer that decides locks the tenant's partition row first, as those of the manifest do: a
document is never published between the last look and the switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tenantry.adapters.postgres.document_rows import document_of
from tenantry.adapters.postgres.document_versions import sql as manifest_sql
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantReader, TenantWork, TenantWriter
from tenantry.domain.document import DocumentRow, Progress
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import ApiKeyId, DocumentId, ReindexId, TenantId
from tenantry.domain.space import Space
from tenantry.ports.reindexing import Reindex, ReindexState, Switched

SWITCH_TIMEOUT_S = 180  # a row of each document is written: a minute for a million


class PostgresReindexes:
    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = statements("sql/reindex.sql")

    async def begin(
        self,
        tenant_id: TenantId,
        reindex_id: ReindexId,
        space: Space,
        pin: str,
        api_key_id: ApiKeyId,
        request_id: UUID,
        lease_s: float,
        *,
        again: bool = False,
    ) -> tuple[Reindex, bool]:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(manifest_sql()["open_partition"], tenant_id)
            held = await unit.fetchrow(manifest_sql()["lock_partition"], tenant_id)
            begun = await unit.fetchrow(self._sql["open"], tenant_id)
            if begun is not None:
                return await self._joined(unit, begun, space, api_key_id, lease_s)
            if not again and (held["model"], held["dimensions"]) == (pin, space.dimensions):
                raise Conflict(
                    f"The documents are indexed with {space.model} at {space.dimensions} "
                    "dimensions already. `again` indexes them anew."
                )
            row = await unit.fetchrow(
                self._sql["insert"],
                tenant_id,
                reindex_id,
                space.model,
                space.dimensions,
                api_key_id,
                request_id,
                lease_s,
                pin,
            )
            return await self._told(unit, row), True

    async def latest(self, tenant_id: TenantId) -> Reindex | None:
        async with self._work.reading(tenant_id) as unit:
            row = await unit.fetchrow(self._sql["latest"], tenant_id)
            return None if row is None else await self._told(unit, row)

    async def claim(self, tenant_id: TenantId, lease_s: float) -> Reindex | None:
        async with self._work.writing(tenant_id) as unit:
            row = await unit.fetchrow(self._sql["claim"], tenant_id, lease_s)
            return None if row is None else await self._told(unit, row)

    async def keep(self, tenant_id: TenantId, reindex_id: ReindexId, lease_s: float) -> bool:
        async with self._work.writing(tenant_id) as unit:
            tag = await unit.execute(self._sql["keep"], tenant_id, reindex_id, lease_s)
        return tag == "UPDATE 1"

    async def pending(
        self, tenant_id: TenantId, after: DocumentId | None, limit: int
    ) -> Sequence[DocumentRow]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["pending"], tenant_id, after, limit)
        return [document_of(row) for row in rows]

    async def is_pending(self, tenant_id: TenantId, row: DocumentRow) -> bool:
        async with self._work.reading(tenant_id) as unit:
            found = await unit.fetchval(self._sql["is_pending"], tenant_id, row.id, row.original_id)
        return bool(found)

    async def switch(
        self, tenant_id: TenantId, reindex_id: ReindexId, *, patient: bool
    ) -> Switched:
        async with self._work.writing(tenant_id) as unit:
            await unit.fetchrow(manifest_sql()["lock_partition"], tenant_id)
            row = await unit.fetchrow(self._sql["open"], tenant_id)
            if row is None or (row["reindex_id"], row["state"]) != (reindex_id, "running"):
                return Switched.GONE
            if await unit.fetchval(self._sql["is_any_pending"], tenant_id):
                return Switched.MORE
            if patient and await unit.fetchval(self._sql["is_being_fed"], tenant_id):
                return Switched.WAIT
            space = Space(row["model"], row["dimensions"])
            counts = await self._counts(unit, space)
            await unit.execute_within(SWITCH_TIMEOUT_S, self._sql["switch_documents"], tenant_id)
            await unit.execute(manifest_sql()["delete_empty_segments"], tenant_id)
            pin = (tenant_id, row["pin"], space.dimensions)
            await unit.execute(self._sql["pin"], *pin)
            # Of the space that is left: nobody can publish them any more.
            left = (tenant_id, space.model, space.dimensions)
            await unit.execute(self._sql["delete_batches_but"], *left)
            await self._end(unit, reindex_id, ReindexState.DONE, counts)
        return Switched.DONE

    async def pause(
        self,
        tenant_id: TenantId,
        reindex_id: ReindexId,
        failure: str,
        document_id: DocumentId | None = None,
    ) -> None:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["pause"], tenant_id, reindex_id, failure, document_id)

    async def cancel(self, tenant_id: TenantId) -> Reindex | None:
        async with self._work.writing(tenant_id) as unit:
            await unit.fetchrow(manifest_sql()["lock_partition"], tenant_id)
            row = await unit.fetchrow(self._sql["open"], tenant_id)
            if row is None:
                return None
            counts = await self._counts(unit, Space(row["model"], row["dimensions"]))
            await unit.execute_within(SWITCH_TIMEOUT_S, self._sql["forget_documents"], tenant_id)
            await unit.execute(manifest_sql()["delete_empty_segments"], tenant_id)
            await unit.execute(
                self._sql["delete_batches_of"], tenant_id, row["model"], row["dimensions"]
            )
            ended = await self._end(unit, row["reindex_id"], ReindexState.CANCELLED, counts)
            return await self._told(unit, ended)

    async def _joined(
        self,
        unit: TenantWriter,
        begun: Any,
        space: Space,
        api_key_id: ApiKeyId,
        lease_s: float,
    ) -> tuple[Reindex, bool]:
        if (begun["model"], begun["dimensions"]) != (space.model, space.dimensions):
            raise Conflict(
                f"The documents are being reindexed with {begun['model']} at "
                f"{begun['dimensions']} dimensions: cancel that first."
            )
        if begun["state"] == ReindexState.RUNNING:
            return await self._told(unit, begun), False
        row = await unit.fetchrow(
            self._sql["go_on"], unit.tenant_id, begun["reindex_id"], api_key_id, lease_s
        )
        return await self._told(unit, row), True

    async def _end(
        self,
        unit: TenantWriter,
        reindex_id: str,
        state: ReindexState,
        counts: tuple[Progress, Progress],
    ) -> Any:
        documents, passages = counts
        return await unit.fetchrow(
            self._sql["end"], unit.tenant_id, reindex_id, state, documents.done, passages.done
        )

    async def _counts(self, unit: TenantReader, space: Space) -> tuple[Progress, Progress]:
        row = await unit.fetchrow(
            self._sql["progress"], unit.tenant_id, space.model, space.dimensions
        )
        # Batches of a document that is deleted or replaced meanwhile are no part of the total.
        done = min(row["passages_done"], row["passages"])
        return Progress(row["documents_done"], row["documents"]), Progress(done, row["passages"])

    async def _told(self, unit: TenantReader, row: Any) -> Reindex:
        space = Space(row["model"], row["dimensions"])
        state = ReindexState(row["state"])
        documents = Progress(row["documents"], row["documents"])
        passages = Progress(row["passages"], row["passages"])
        if state in (ReindexState.RUNNING, ReindexState.PAUSED):
            documents, passages = await self._counts(unit, space)
        failed = row["failed_document_id"]
        return Reindex(
            id=ReindexId(row["reindex_id"]),
            state=state,
            space=space,
            api_key_id=ApiKeyId(row["api_key_id"]),
            request_id=row["request_id"],
            documents=documents,
            passages=passages,
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            failure=row["failure"],
            failed_document_id=None if failed is None else DocumentId(failed),
        )
