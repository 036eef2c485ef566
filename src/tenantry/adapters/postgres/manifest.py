"""The manifest of documents and segments in PostgreSQL: `ports.manifest.Manifest`.

Every writer locks the tenant's partition row first, so that limits are decided on what is
committed and a generation names one state only. The statements are in `sql/manifest.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork, TenantWriter
from tenantry.domain.document import DocumentLimits, DocumentRow, DocumentState
from tenantry.domain.errors import Conflict, QuotaExceeded
from tenantry.domain.ids import ApiKeyId, DocumentId, SegmentId, TenantId
from tenantry.ports.manifest import Inserted, Live, NewSegment, Partition, Removed, SegmentRow


class PostgresManifest:
    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = statements("sql/manifest.sql")

    async def insert(
        self, tenant_id: TenantId, row: DocumentRow, limits: DocumentLimits, lease_s: float
    ) -> Inserted:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["open_partition"], tenant_id)
            await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            same = await unit.fetchrow(
                self._sql["document_by_content"], tenant_id, row.content_hmac
            )
            if same is not None and same["state"] != DocumentState.FAILED:
                return Inserted(_row(same), created=False)
            if same is not None:
                await self._delete(unit, DocumentId(same["document_id"]))
            await self._count_in(unit, row, limits)
            stored = await unit.fetchrow(
                self._sql["insert_document"],
                tenant_id,
                row.id,
                row.content_hmac,
                row.original_id,
                row.original_bytes,
                row.api_key_id,
                lease_s,
            )
        return Inserted(_row(stored), created=True)

    async def by_content(self, tenant_id: TenantId, content_hmac: bytes) -> DocumentRow | None:
        rows = await self._many(tenant_id, "document_by_content", content_hmac)
        return rows[0] if rows else None

    async def document(self, tenant_id: TenantId, document_id: DocumentId) -> DocumentRow | None:
        rows = await self._many(tenant_id, "document_by_id", document_id)
        return rows[0] if rows else None

    async def documents(
        self, tenant_id: TenantId, after: DocumentId | None, limit: int
    ) -> Sequence[DocumentRow]:
        return await self._many(tenant_id, "documents", after, limit)

    async def claim(self, tenant_id: TenantId, limit: int, lease_s: float) -> Sequence[DocumentRow]:
        async with self._work.writing(tenant_id) as unit:
            rows = await unit.fetch(self._sql["claim"], tenant_id, limit, lease_s)
        return sorted((_row(row) for row in rows), key=lambda row: row.id)

    async def keep(self, tenant_id: TenantId, document_id: DocumentId, lease_s: float) -> bool:
        async with self._work.writing(tenant_id) as unit:
            done = await unit.execute(self._sql["keep"], tenant_id, document_id, lease_s)
        return done == "UPDATE 1"

    async def generation(self, tenant_id: TenantId) -> int:
        async with self._work.reading(tenant_id) as unit:
            return int(await unit.fetchval(self._sql["generation"], tenant_id) or 0)

    async def partition(self, tenant_id: TenantId) -> Partition:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["partition"], tenant_id)
        if not rows:
            return Partition(0, "", ())
        segments = tuple(_segment(row) for row in rows if row["segment_id"] is not None)
        return Partition(rows[0]["current"], rows[0]["model"], segments)

    async def live(
        self,
        tenant_id: TenantId,
        segments: Sequence[SegmentId] = (),
        documents: Sequence[DocumentId] = (),
    ) -> Live:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["live"], tenant_id, list(segments), list(documents))
        if not rows:
            return Live(0, "", 0, {})
        found: dict[SegmentId, frozenset[DocumentId]] = {}
        for row in rows:
            if row["segment_id"] is not None:
                segment = SegmentId(row["segment_id"])
                found[segment] = found.get(segment, frozenset()) | {DocumentId(row["document_id"])}
        return Live(rows[0]["generation"], rows[0]["model"], rows[0]["dimensions"], found)

    async def publish(
        self, tenant_id: TenantId, segment: NewSegment, document_id: DocumentId
    ) -> bool:
        async with self._work.writing(tenant_id) as unit:
            held = await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            document = await unit.fetchrow(self._sql["document_by_id"], tenant_id, document_id)
            if held is None or document is None or document["state"] != DocumentState.INDEXING:
                return False
            pinned = (held["model"], held["dimensions"])
            if pinned != (segment.model, segment.dimensions) and await unit.fetchval(
                self._sql["has_segments"], tenant_id
            ):
                raise Conflict(
                    f"The documents are indexed with {held['model']} at {held['dimensions']} "
                    "dimensions; reindex them before others are added with another model."
                )
            await self._add_segment(unit, segment)
            await unit.execute(
                self._sql["ready_document"], tenant_id, document_id, segment.id, segment.rows
            )
            await unit.execute(self._sql["pin"], tenant_id, segment.model, segment.dimensions)
        return True

    async def fail(self, tenant_id: TenantId, document_id: DocumentId, code: str) -> None:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["fail_document"], tenant_id, document_id, code)

    async def remove(self, tenant_id: TenantId, document_id: DocumentId) -> Removed | None:
        async with self._work.writing(tenant_id) as unit:
            await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            row = await self._delete(unit, document_id)
            if row is None:
                return None
            empty = await unit.fetch(self._sql["delete_empty_segments"], tenant_id)
            await unit.execute(self._sql["advance"], tenant_id)
        return Removed(row, tuple(SegmentId(item["segment_id"]) for item in empty))

    async def merge(
        self, tenant_id: TenantId, sources: Sequence[SegmentId], segment: NewSegment
    ) -> bool:
        async with self._work.writing(tenant_id) as unit:
            await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            names = list(sources)
            if await unit.fetchval(self._sql["count_segments"], tenant_id, names) != len(names):
                return False
            await self._add_segment(unit, segment)
            await unit.execute(self._sql["move_documents"], tenant_id, names, segment.id)
            # Also the new one, where every document was removed while it was written.
            await unit.execute(self._sql["delete_empty_segments"], tenant_id)
            await unit.execute(self._sql["advance"], tenant_id)
        return True

    async def objects(self, tenant_id: TenantId) -> frozenset[str]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["objects"], tenant_id)
        return frozenset(row["name"] for row in rows)

    async def _many(self, tenant_id: TenantId, name: str, *values: object) -> list[DocumentRow]:
        async with self._work.reading(tenant_id) as unit:
            return [_row(row) for row in await unit.fetch(self._sql[name], tenant_id, *values)]

    async def _count_in(self, unit: TenantWriter, row: DocumentRow, limits: DocumentLimits) -> None:
        counted = await unit.fetchrow(self._sql["count"], unit.tenant_id, 1, row.original_bytes)
        documents_max, bytes_max = limits.documents_max, limits.storage_bytes_max
        # The transaction is rolled back with the refusal, and the count with it.
        if documents_max is not None and counted["documents"] > documents_max:
            raise QuotaExceeded(
                f"The plan allows {documents_max:,} documents.", limit="documents_max"
            )
        if bytes_max is not None and counted["original_bytes"] > bytes_max:
            raise QuotaExceeded(
                f"The plan allows {bytes_max // 1_000_000:,} MB of documents.",
                limit="storage_max_mb",
            )

    async def _delete(self, unit: TenantWriter, document_id: DocumentId) -> DocumentRow | None:
        found = await unit.fetchrow(self._sql["delete_document"], unit.tenant_id, document_id)
        if found is None:
            return None
        await unit.fetchrow(self._sql["count"], unit.tenant_id, -1, -found["original_bytes"])
        return _row(found)

    async def _add_segment(self, unit: TenantWriter, segment: NewSegment) -> None:
        await unit.execute(
            self._sql["insert_segment"],
            unit.tenant_id,
            segment.id,
            segment.generation,
            segment.dimensions,
            segment.rows,
            segment.size_bytes,
        )


class PostgresUnfinished:
    """`ports.manifest.Unfinished`, over the control plane's pool."""

    def __init__(self, control_pool: Any) -> None:
        self._pool = control_pool

    async def tenants(self, limit: int) -> Sequence[TenantId]:
        with outages_are_unavailable():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                rows = await connection.fetch(
                    statements("sql/manifest.sql")["unfinished_tenants"], limit
                )
        return [TenantId(row["tenant_id"]) for row in rows]


def _row(row: Any) -> DocumentRow:
    return DocumentRow(
        id=DocumentId(row["document_id"]),
        state=DocumentState(row["state"]),
        content_hmac=row["content_hmac"],
        original_id=row["original_id"],
        original_bytes=row["original_bytes"],
        api_key_id=ApiKeyId(row["api_key_id"]),
        passages=row["passages"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        failure=row["failure"],
    )


def _segment(row: Any) -> SegmentRow:
    return SegmentRow(
        id=SegmentId(row["segment_id"]),
        generation=row["generation"],
        dimensions=row["dimensions"],
        rows=row["row_count"],
        live_rows=row["live_rows"] or 0,
        size_bytes=row["size_bytes"],
        documents=frozenset(DocumentId(name) for name in row["documents"] or ()),
    )
