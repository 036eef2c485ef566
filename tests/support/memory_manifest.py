"""The manifest of documents in memory, with what it counts, claims and names."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from tenantry.domain.document import (
    DocumentLimits,
    DocumentRow,
    DocumentState,
    IndexEdition,
    PageCount,
    Progress,
)
from tenantry.domain.errors import Conflict, NotFound, QuotaExceeded
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
    SegmentRow,
    Spaces,
)
from tenantry.ports.objects import ObjectKind


@dataclasses.dataclass
class _Held:
    generation: int = 0
    model: str = ""
    dimensions: int = 0
    rows: dict[DocumentId, DocumentRow] = dataclasses.field(default_factory=dict)
    segments: dict[SegmentId, NewSegment] = dataclasses.field(default_factory=dict)
    claims: dict[DocumentId, float] = dataclasses.field(default_factory=dict)
    live: dict[DocumentId, tuple[SegmentId, int]] = dataclasses.field(default_factory=dict)
    batches: dict[tuple[bytes, str, int], EmbeddedBatch] = dataclasses.field(default_factory=dict)
    deleted: dict[Deleted, float] = dataclasses.field(default_factory=dict)

    def note(self, rows: Sequence[DocumentRow], segments: Sequence[SegmentId]) -> None:
        for row in rows:
            self.deleted[Deleted(ObjectKind.ORIGINAL, row.original_id)] = time.monotonic()
        for name in segments:
            if name.startswith("seg_"):
                self.deleted[Deleted(ObjectKind.SEGMENT, name)] = time.monotonic()

    def counts(self, row: DocumentRow) -> tuple[int, int]:
        if row.replaces is None:
            return 1, row.stored_bytes
        if row.state is DocumentState.FAILED:
            return 0, 0
        return 0, max(0, row.stored_bytes - self.rows[row.replaces].stored_bytes)


class MemoryManifest:
    """`ports.manifest.Manifest` in memory; the contract suite holds it to PostgreSQL's."""

    def __init__(self) -> None:
        self._tenants: dict[TenantId, _Held] = {}

    def _of(self, tenant_id: TenantId) -> _Held:
        return self._tenants.setdefault(tenant_id, _Held())

    async def insert(
        self, tenant_id: TenantId, row: DocumentRow, limits: DocumentLimits, lease_s: float
    ) -> Inserted:
        held = self._of(tenant_id)
        same = await self.by_content(tenant_id, row.content_hmac)
        if row.replaces is not None and (found := self._before(held, row, same, lease_s)):
            return found
        if same is not None and same.state is not DocumentState.FAILED:
            return Inserted(same, False)
        if same is not None:
            del held.rows[same.id]
        rows = [*held.rows.values(), row]
        count = sum(held.counts(item)[0] for item in rows)
        size = sum(held.counts(item)[1] for item in rows)
        grows = held.counts(row)
        if grows[0] and limits.documents_max is not None and count > limits.documents_max:
            raise QuotaExceeded("Too many documents.", limit="documents_max")
        if grows[1] and limits.storage_bytes_max is not None and size > limits.storage_bytes_max:
            raise QuotaExceeded("Too much storage.", limit="storage_max_mb")
        held.rows[row.id] = row
        held.claims[row.id] = time.monotonic() + lease_s
        return Inserted(row, True)

    def _before(
        self, held: _Held, row: DocumentRow, same: DocumentRow | None, lease_s: float
    ) -> Inserted | None:
        target = held.rows.get(row.replaces)
        if target is None:
            raise NotFound("There is no such document.")
        version = next((item for item in held.rows.values() if item.replaces == target.id), None)
        if version is not None and version.state is not DocumentState.FAILED:
            if version.content_hmac == row.content_hmac:
                return Inserted(version, False)
            raise Conflict("The document is being replaced already.")
        if target.content_hmac == row.content_hmac:
            if target.state is not DocumentState.FAILED:
                return Inserted(target, False)
            again = dataclasses.replace(row, id=target.id, replaces=None)
            held.rows[target.id] = again
            held.claims[target.id] = time.monotonic() + lease_s
            return Inserted(again, True, restarted=True)
        if target.state is DocumentState.INDEXING:
            raise Conflict("The document is still being indexed.")
        if same is not None and same.state is not DocumentState.FAILED:
            raise Conflict(f"The same upload is there already, as document {same.document_id}.")
        if version is not None and version is not same:
            del held.rows[version.id]
        return None

    async def by_content(self, tenant_id: TenantId, content_hmac: bytes) -> DocumentRow | None:
        rows = self._of(tenant_id).rows.values()
        return next((row for row in rows if row.content_hmac == content_hmac), None)

    async def document(self, tenant_id: TenantId, document_id: DocumentId) -> DocumentRow | None:
        found = self._of(tenant_id).rows.get(document_id)
        return None if found is None or found.replaces is not None else found

    async def documents(
        self, tenant_id: TenantId, after: DocumentId | None, limit: int
    ) -> list[DocumentRow]:
        rows = sorted(self._of(tenant_id).rows.values(), key=lambda row: row.id, reverse=True)
        rows = [row for row in rows if row.replaces is None]
        return [row for row in rows if after is None or row.id < after][:limit]

    async def replacements(
        self, tenant_id: TenantId, wanted: Sequence[DocumentId]
    ) -> list[DocumentRow]:
        return [row for row in self._of(tenant_id).rows.values() if row.replaces in wanted]

    async def claim(self, tenant_id: TenantId, limit: int, lease_s: float) -> list[DocumentRow]:
        held, now = self._of(tenant_id), time.monotonic()
        free = [
            row
            for row in sorted(held.rows.values(), key=lambda row: row.id)
            if row.state is DocumentState.INDEXING and held.claims.get(row.id, 0.0) < now
        ][:limit]
        held.claims |= {row.id: now + lease_s for row in free}
        return free

    async def keep(
        self,
        tenant_id: TenantId,
        document_id: DocumentId,
        lease_s: float,
        progress: Progress | None = None,
    ) -> bool:
        held = self._of(tenant_id)
        document = held.rows.get(document_id)
        if document is None or document.state is not DocumentState.INDEXING:
            return False
        held.claims[document_id] = time.monotonic() + lease_s
        if progress is not None:
            held.rows[document_id] = dataclasses.replace(
                document, passages_done=progress.done, passages_total=progress.total
            )
        return True

    async def batches(
        self, tenant_id: TenantId, content_hmac: bytes, space: Space
    ) -> list[EmbeddedBatch]:
        found = self._of(tenant_id).batches.items()
        return [batch for key, batch in sorted(found) if key[:2] == (content_hmac, space.model)]

    async def keep_batch(self, tenant_id: TenantId, batch: EmbeddedBatch) -> bool:
        key = (batch.content_hmac, batch.space.model, batch.first)
        held = self._of(tenant_id)
        if not any(
            row.content_hmac == batch.content_hmac and row.state is DocumentState.INDEXING
            for row in held.rows.values()
        ):
            return False
        return held.batches.setdefault(key, batch) is batch

    async def spaces(self, tenant_id: TenantId) -> Spaces:
        held = self._of(tenant_id)
        pinned = space_of_pin(held.model, held.dimensions) if held.model else None
        live, kept = (pinned, None) if held.live else (None, pinned)
        return Spaces(held.generation, live, pin=held.model, kept=kept)

    async def generation(self, tenant_id: TenantId) -> int:
        return self._of(tenant_id).generation

    async def partition(
        self, tenant_id: TenantId, edition: IndexEdition = IndexEdition.LIVE
    ) -> Partition:
        held = self._of(tenant_id)
        if edition is IndexEdition.NEXT:
            return Partition(held.generation, "", ())  # reindexes are PostgreSQL's
        segments = []
        for item in held.segments.values():
            mine = {d: rows for d, (segment, rows) in held.live.items() if segment == item.id}
            segments.append(
                SegmentRow(
                    item.id,
                    item.generation,
                    item.dimensions,
                    item.rows,
                    sum(mine.values()),
                    item.size_bytes,
                    frozenset(mine),
                )
            )
        return Partition(held.generation, held.model, tuple(segments))

    async def live(
        self,
        tenant_id: TenantId,
        segments: Sequence[SegmentId] = (),
        documents: Sequence[DocumentId] = (),
    ) -> Live:
        held = self._of(tenant_id)
        found: dict[SegmentId, frozenset[DocumentId]] = {}
        for document_id, (segment, _) in held.live.items():
            if segment in segments or document_id in documents:
                found[segment] = found.get(segment, frozenset()) | {document_id}
        return Live(held.generation, held.model, held.dimensions, found)

    async def publish(
        self,
        tenant_id: TenantId,
        segment: NewSegment,
        document_id: DocumentId,
        original_id: str = "",
        edition: IndexEdition = IndexEdition.LIVE,
        pages: PageCount | None = None,
    ) -> bool:
        assert edition is IndexEdition.LIVE, "reindexes are PostgreSQL's"
        held = self._of(tenant_id)
        document = next(
            (
                row
                for row in held.rows.values()
                if row.document_id == document_id and row.state is DocumentState.INDEXING
            ),
            None,
        )
        if document is None or original_id not in ("", document.original_id):
            return False
        if held.segments and (held.model, held.dimensions) != (segment.model, segment.dimensions):
            raise Conflict("Another model.")
        held.model, held.dimensions = segment.model, segment.dimensions
        held.segments[segment.id] = segment
        held.live[document_id] = (segment.id, segment.rows)
        del held.rows[document.id]
        before = held.rows.get(document_id, document)
        held.batches = {
            key: batch
            for key, batch in held.batches.items()
            if key[0] not in (document.content_hmac, before.content_hmac)
        }
        held.rows[document_id] = dataclasses.replace(
            document,
            id=document_id,
            replaces=None,
            created_at=before.created_at,
            state=DocumentState.READY,
            passages=segment.rows,
            pages=pages,
        )
        empty = self._drop_empty(held)
        if before is not document:
            held.note([before], empty)
        held.generation += 1
        return True

    async def fail(self, tenant_id: TenantId, document_id: DocumentId, code: str) -> None:
        held = self._of(tenant_id)
        document = held.rows.get(document_id)
        if document is not None and document.state is DocumentState.INDEXING:
            held.rows[document_id] = dataclasses.replace(
                document, state=DocumentState.FAILED, failure=code
            )

    async def remove(self, tenant_id: TenantId, document_id: DocumentId) -> Removed | None:
        held = self._of(tenant_id)
        document = held.rows.pop(document_id, None)
        if document is None:
            return None
        gone = [row for row in held.rows.values() if row.replaces == document_id]
        held.rows = {name: row for name, row in held.rows.items() if row not in gone}
        digests = {row.content_hmac for row in (document, *gone)}
        held.batches = {key: each for key, each in held.batches.items() if key[0] not in digests}
        held.live.pop(document_id, None)
        held.generation += 1
        empty = self._drop_empty(held)
        held.note([document, *gone], empty)
        return Removed(document, empty)

    async def merge(
        self,
        tenant_id: TenantId,
        sources: Sequence[SegmentId],
        segment: NewSegment,
        edition: IndexEdition = IndexEdition.LIVE,
    ) -> bool:
        held = self._of(tenant_id)
        if any(source not in held.segments for source in sources):
            return False
        held.segments[segment.id] = segment
        for document_id, (source, rows) in list(held.live.items()):
            if source in sources:
                held.live[document_id] = (segment.id, rows)
        for source in sources:
            del held.segments[source]
        self._drop_empty(held)
        held.generation += 1
        return True

    async def objects(self, tenant_id: TenantId) -> frozenset[str]:
        held = self._of(tenant_id)
        originals = {
            row.original_id
            for row in held.rows.values()
            if row.replaces is None or row.state is not DocumentState.FAILED
        }
        batches = {batch.object_id for batch in held.batches.values()}
        return frozenset(held.segments) | originals | batches

    async def deletions(self, tenant_id: TenantId, age_s: float, limit: int) -> Sequence[Deleted]:
        found, now = self._of(tenant_id).deleted, time.monotonic()
        return [each for each, at in found.items() if now - at >= age_s][:limit]

    async def deleted_of(self, tenant_id: TenantId, names: Sequence[str]) -> frozenset[str]:
        return frozenset(each.name for each in self._of(tenant_id).deleted if each.name in names)

    async def forget_deletions(self, tenant_id: TenantId, names: Sequence[str]) -> None:
        held = self._of(tenant_id)
        held.deleted = {each: at for each, at in held.deleted.items() if each.name not in names}

    def _drop_empty(self, held: _Held) -> tuple[SegmentId, ...]:
        used = {segment for segment, _ in held.live.values()}
        empty = tuple(name for name in held.segments if name not in used)
        for name in empty:
            del held.segments[name]
        return empty
