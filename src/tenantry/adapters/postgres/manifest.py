"""The manifest of documents and segments in PostgreSQL: `ports.manifest.Manifest`.

Every writer locks the tenant's partition row first, so that limits are decided on what is
committed and a generation names one state only. The statements are in `sql/manifest.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.adapters.postgres import deleted_objects
from tenantry.adapters.postgres.document_rows import (
    batch_of,
    document_of,
    pages_as_stored,
    segment_of,
)
from tenantry.adapters.postgres.document_versions import (
    admitted_version,
    counted,
    deleted,
    published,
    replaced,
    sql,
)
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWork, TenantWriter
from tenantry.domain.document import (
    DocumentLimits,
    DocumentRow,
    IndexEdition,
    PageCount,
    Progress,
)
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import DocumentId, SegmentId, TenantId
from tenantry.domain.space import Space, space_of_pin
from tenantry.ports.manifest import (
    Deleted,
    EmbeddedBatch,
    Inserted,
    Live,
    NewSegment,
    Partition,
    Removed,
    Spaces,
)


class PostgresManifest:
    def __init__(self, work: TenantWork) -> None:
        self._work = work
        self._sql = sql()

    async def insert(
        self, tenant_id: TenantId, row: DocumentRow, limits: DocumentLimits, lease_s: float
    ) -> Inserted:
        async with self._work.writing(tenant_id) as unit:
            await unit.execute(self._sql["open_partition"], tenant_id)
            await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            found = await admitted_version(unit, row, limits, lease_s)
            if found is not None:
                return found
            stored = await unit.fetchrow(
                self._sql["insert_document"],
                tenant_id,
                row.id,
                row.content_hmac,
                row.original_id,
                row.original_bytes,
                row.api_key_id,
                lease_s,
                row.replaces,
                row.request_id,
                row.passages_total,
                row.card_bytes,
            )
        return Inserted(document_of(stored), created=True)

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

    async def replacements(
        self, tenant_id: TenantId, wanted: Sequence[DocumentId]
    ) -> Sequence[DocumentRow]:
        return await self._many(tenant_id, "replacements", list(wanted))

    async def claim(self, tenant_id: TenantId, limit: int, lease_s: float) -> Sequence[DocumentRow]:
        async with self._work.writing(tenant_id) as unit:
            rows = await unit.fetch(self._sql["claim"], tenant_id, limit, lease_s)
        return sorted((document_of(row) for row in rows), key=lambda row: row.id)

    async def keep(
        self,
        tenant_id: TenantId,
        row_id: DocumentId,
        lease_s: float,
        progress: Progress | None = None,
    ) -> bool:
        done, total = (None, None) if progress is None else (progress.done, progress.total)
        async with self._work.writing(tenant_id) as unit:
            tag = await unit.execute(self._sql["keep"], tenant_id, row_id, lease_s, done, total)
        return tag == "UPDATE 1"

    async def batches(
        self, tenant_id: TenantId, content_hmac: bytes, space: Space
    ) -> Sequence[EmbeddedBatch]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(
                self._sql["batches"], tenant_id, content_hmac, space.model, space.dimensions
            )
        return [batch_of(row) for row in rows]

    async def keep_batch(self, tenant_id: TenantId, batch: EmbeddedBatch) -> bool:
        async with self._work.writing(tenant_id) as unit:
            # Nothing is named for a document that goes, or is published, in the same moment.
            await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            tag = await unit.execute(
                self._sql["keep_batch"],
                tenant_id,
                batch.content_hmac,
                batch.space.model,
                batch.space.dimensions,
                batch.first,
                batch.passages,
                batch.object_id,
            )
        return tag == "INSERT 0 1"

    async def spaces(self, tenant_id: TenantId) -> Spaces:
        row = await self._work.fetchrow_of(tenant_id, self._sql["spaces"])
        if row is None:
            return Spaces(0)
        pinned = space_of_pin(row["model"], row["dimensions"]) if row["model"] else None
        live, kept = (pinned, None) if row["live"] else (None, pinned)
        following = None
        if row["advances"]:
            following = Space(row["next_model"], row["next_dimensions"])
        return Spaces(row["generation"], live, following, row["model"], kept)

    async def generation(self, tenant_id: TenantId) -> int:
        row = await self._work.fetchrow_of(tenant_id, self._sql["generation"])
        return 0 if row is None else int(row["generation"])

    async def partition(
        self, tenant_id: TenantId, edition: IndexEdition = IndexEdition.LIVE
    ) -> Partition:
        name = "partition" if edition is IndexEdition.LIVE else "next_partition"
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql[name], tenant_id)
        if not rows:
            return Partition(0, "", ())
        segments = tuple(segment_of(row) for row in rows if row["segment_id"] is not None)
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
        self,
        tenant_id: TenantId,
        segment: NewSegment,
        document_id: DocumentId,
        original_id: str = "",
        edition: IndexEdition = IndexEdition.LIVE,
        pages: PageCount | None = None,
    ) -> bool:
        async with self._work.writing(tenant_id) as unit:
            held = await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            if held is None:
                return False
            if edition is IndexEdition.NEXT:
                return await self._publish_next(unit, segment, document_id, original_id, pages)
            version = await unit.fetchrow(
                self._sql["indexing_version"], tenant_id, document_id, original_id
            )
            if version is None:
                return False
            pinned = (held["model"], held["dimensions"])
            if pinned != (segment.model, segment.dimensions) and await unit.fetchval(
                self._sql["is_decided"], tenant_id, version["updated_at"]
            ):
                raise Conflict(
                    f"The documents are indexed with {held['model']} at {held['dimensions']} "
                    "dimensions; reindex them before others are added with another model."
                )
            await self._add_segment(unit, segment)
            if version["replaces"] is None:
                await published(unit, version, segment, pages)
            else:
                await replaced(unit, version, segment, pages)
            await unit.execute(self._sql["pin"], tenant_id, segment.model, segment.dimensions)
        return True

    async def fail(self, tenant_id: TenantId, row_id: DocumentId, code: str) -> None:
        async with self._work.writing(tenant_id) as unit:
            await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            row = await unit.fetchrow(self._sql["any_by_id"], tenant_id, row_id)
            failed = await unit.fetchrow(self._sql["fail_document"], tenant_id, row_id, code)
            if failed is None:
                return
            before = await counted(unit, row)
            after = await counted(unit, failed)
            await unit.fetchrow(
                self._sql["count"], tenant_id, after[0] - before[0], after[1] - before[1]
            )

    async def remove(self, tenant_id: TenantId, document_id: DocumentId) -> Removed | None:
        async with self._work.writing(tenant_id) as unit:
            await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            versions = await unit.fetch(self._sql["replacements"], tenant_id, [document_id])
            row = await deleted(unit, document_id)
            if row is None:
                return None
            empty = await unit.fetch(self._sql["delete_empty_segments"], tenant_id)
            await deleted_objects.note(
                unit,
                originals=[each["original_id"] for each in (row, *versions)],
                segments=[each["segment_id"] for each in empty],
            )
            await unit.execute(self._sql["advance"], tenant_id)
        return Removed(document_of(row), tuple(SegmentId(item["segment_id"]) for item in empty))

    async def merge(
        self,
        tenant_id: TenantId,
        sources: Sequence[SegmentId],
        segment: NewSegment,
        edition: IndexEdition = IndexEdition.LIVE,
    ) -> bool:
        live = edition is IndexEdition.LIVE
        move = "move_documents" if live else "move_next_documents"
        async with self._work.writing(tenant_id) as unit:
            await unit.fetchrow(self._sql["lock_partition"], tenant_id)
            names = list(sources)
            if await unit.fetchval(self._sql["count_segments"], tenant_id, names) != len(names):
                return False
            if not live and await unit.fetchval(self._sql["is_searched_in"], tenant_id, names):
                return False  # the switch came first: they are the live index now
            await self._add_segment(unit, segment)
            await unit.execute(self._sql[move], tenant_id, names, segment.id)
            # Also the new one, where every document was removed while it was written.
            await unit.execute(self._sql["delete_empty_segments"], tenant_id)
            await unit.execute(self._sql["advance"], tenant_id)
        return True

    async def objects(self, tenant_id: TenantId) -> frozenset[str]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql["objects"], tenant_id)
        return frozenset(row["name"] for row in rows)

    async def deletions(self, tenant_id: TenantId, age_s: float, limit: int) -> Sequence[Deleted]:
        async with self._work.reading(tenant_id) as unit:
            return await deleted_objects.due(unit, age_s, limit)

    async def deleted_of(self, tenant_id: TenantId, names: Sequence[str]) -> frozenset[str]:
        async with self._work.reading(tenant_id) as unit:
            return await deleted_objects.of_names(unit, names)

    async def forget_deletions(self, tenant_id: TenantId, names: Sequence[str]) -> None:
        async with self._work.writing(tenant_id) as unit:
            await deleted_objects.forget(unit, names)

    async def _many(self, tenant_id: TenantId, name: str, *values: object) -> list[DocumentRow]:
        async with self._work.reading(tenant_id) as unit:
            rows = await unit.fetch(self._sql[name], tenant_id, *values)
        return [document_of(row) for row in rows]

    async def _publish_next(
        self,
        unit: TenantWriter,
        segment: NewSegment,
        document_id: DocumentId,
        original_id: str,
        pages: PageCount | None,
    ) -> bool:
        """Into the index that a reindex builds, where the document is still that version."""
        tenant_id = unit.tenant_id
        reindex = await unit.fetchrow(statements("sql/reindex.sql")["open"], tenant_id)
        ready = await unit.fetchrow(self._sql["ready_version"], tenant_id, document_id, original_id)
        if reindex is None or ready is None:
            return False
        if (reindex["pin"], reindex["dimensions"]) != (segment.model, segment.dimensions):
            return False
        await self._add_segment(unit, segment)
        await unit.execute(
            self._sql["next_document"],
            tenant_id,
            document_id,
            segment.id,
            segment.rows,
            *pages_as_stored(pages),
        )
        await unit.execute(
            self._sql["delete_batches"],
            tenant_id,
            ready["content_hmac"],
            reindex["model"],
            reindex["dimensions"],
        )
        if ready["next_segment_id"] is not None:
            left = [ready["next_segment_id"]]
            await unit.execute(self._sql["delete_segments_left"], tenant_id, left)
        return True

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


class PostgresUnfinished(Pooled):
    """`ports.manifest.Unfinished`, over the control plane's pool."""

    async def tenants(self, limit: int) -> Sequence[TenantId]:
        async with self._connection() as connection:
            rows = await connection.fetch(
                statements("sql/manifest.sql")["unfinished_tenants"], limit
            )
        return [TenantId(row["tenant_id"]) for row in rows]
