"""Versions of a document in the manifest: who may come in, what it counts, how it takes over.

A version on its way is a row of its own that `replaces` a document; one at a time. It counts for as
much as it is larger, so that the plan's limits hold whether it succeeds or fails, and a full plan
can still have its documents replaced. All of this runs under the lock of the partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenantry.adapters.postgres import deleted_objects
from tenantry.adapters.postgres.document_rows import document_of, pages_as_stored
from tenantry.adapters.postgres.statements import statements
from tenantry.adapters.postgres.unit_of_work import TenantWriter
from tenantry.domain.document import DocumentLimits, DocumentRow, DocumentState, PageCount
from tenantry.domain.errors import Conflict, NotFound, QuotaExceeded
from tenantry.domain.ids import DocumentId
from tenantry.ports.manifest import Inserted, NewSegment

_FAILED = DocumentState.FAILED


def sql() -> Mapping[str, str]:
    return statements("sql/manifest.sql")


async def admitted_version(
    unit: TenantWriter, row: DocumentRow, limits: DocumentLimits, lease_s: float
) -> Inserted | None:
    """None: there is room, and the row may be inserted. Else what is there instead of it.

    What of the same content had failed makes way. See `Manifest.insert` for the refusals.
    """
    tenant_id = unit.tenant_id
    same = await unit.fetchrow(sql()["document_by_content"], tenant_id, row.content_hmac)
    if row.replaces is None:
        if same is not None and same["state"] != _FAILED:
            return Inserted(document_of(same), created=False)
    else:
        found = await _before(unit, row, same, lease_s)
        if found is not None:
            return found
    if same is not None and same["state"] == _FAILED:
        versions = await unit.fetch(sql()["replacements"], tenant_id, [same["document_id"]])
        if any(version["state"] != _FAILED for version in versions):
            raise Conflict("The document that had this content is being replaced.")
        # Its batches stay: the same content need not be embedded, and paid for, again.
        await deleted(unit, DocumentId(same["document_id"]), with_batches=False)
    await _count_in(unit, row, limits)
    return None


async def _before(
    unit: TenantWriter, row: DocumentRow, same: Any, lease_s: float
) -> Inserted | None:
    """What stands in the way of a version, or makes it needless."""
    target = await unit.fetchrow(sql()["document_by_id"], unit.tenant_id, row.replaces)
    if target is None:
        raise NotFound("There is no such document.")
    under_way = await unit.fetch(sql()["replacements"], unit.tenant_id, [row.replaces])
    for version in under_way:
        if version["state"] != _FAILED:
            if version["content_hmac"] == row.content_hmac:
                return Inserted(document_of(version), created=False)
            raise Conflict("The document is being replaced already: wait until that has ended.")
    if target["content_hmac"] == row.content_hmac:
        if target["state"] != _FAILED:
            return Inserted(document_of(target), created=False)
        # One of before did not count its card.
        more = row.stored_bytes - _stored(target)
        await unit.fetchrow(sql()["count"], unit.tenant_id, 0, more)
        return Inserted(await _restarted(unit, row, lease_s), created=True, restarted=True)
    if target["state"] == DocumentState.INDEXING:
        raise Conflict("The document is still being indexed: wait until it is ready.")
    if same is not None and same["state"] != _FAILED:
        holder = same["replaces"] or same["document_id"]
        raise Conflict(f"The same upload is there already, as document {holder}.")
    for version in under_way:
        if same is None or version["document_id"] != same["document_id"]:
            await deleted(unit, DocumentId(version["document_id"]))
    return None


async def _restarted(unit: TenantWriter, row: DocumentRow, lease_s: float) -> DocumentRow:
    return document_of(
        await unit.fetchrow(
            sql()["restart_document"],
            unit.tenant_id,
            row.replaces,
            row.original_id,
            row.original_bytes,
            row.api_key_id,
            lease_s,
            row.request_id,
            row.passages_total,
            row.card_bytes,
        )
    )


async def _count_in(unit: TenantWriter, row: DocumentRow, limits: DocumentLimits) -> None:
    documents, size = 1, row.stored_bytes
    if row.replaces is not None:
        target = await unit.fetchrow(sql()["document_by_id"], unit.tenant_id, row.replaces)
        documents, size = 0, _larger(row.stored_bytes, _stored(target))
    total = await unit.fetchrow(sql()["count"], unit.tenant_id, documents, size)
    documents_max, bytes_max = limits.documents_max, limits.storage_bytes_max
    # The transaction is rolled back with the refusal, and the count with it.
    if documents and documents_max is not None and total["documents"] > documents_max:
        raise QuotaExceeded(f"The plan allows {documents_max:,} documents.", limit="documents_max")
    if size and bytes_max is not None and total["original_bytes"] > bytes_max:
        raise QuotaExceeded(
            f"The plan allows {bytes_max // 1_000_000:,} MB of documents.", limit="storage_max_mb"
        )


async def counted(unit: TenantWriter, row: Any) -> tuple[int, int]:
    """For how many documents and bytes a row counts."""
    if row["replaces"] is None:
        return 1, _stored(row)
    if row["state"] == _FAILED:
        return 0, 0
    target = await unit.fetchrow(sql()["document_by_id"], unit.tenant_id, row["replaces"])
    return 0, _larger(_stored(row), _stored(target))


async def deleted(
    unit: TenantWriter, row_id: DocumentId, *, with_batches: bool = True
) -> Any | None:
    """The row that a document or version had, taken out of the counts with all that hang on it."""
    tenant_id = unit.tenant_id
    versions = await unit.fetch(sql()["replacements"], tenant_id, [row_id])
    documents = size = 0
    for version in versions:
        more = await counted(unit, version)
        documents, size = documents + more[0], size + more[1]
    own = await unit.fetchrow(sql()["any_by_id"], tenant_id, row_id)
    if own is None:
        return None
    more = await counted(unit, own)
    await unit.fetchrow(sql()["delete_document"], tenant_id, row_id)
    await unit.fetchrow(sql()["count"], tenant_id, -(documents + more[0]), -(size + more[1]))
    for row in [own, *versions] if with_batches else []:
        await unit.execute(sql()["delete_batches"], tenant_id, row["content_hmac"], None, None)
    return own


async def published(
    unit: TenantWriter, version: Any, segment: NewSegment, pages: PageCount | None
) -> None:
    """A document's first version is ready."""
    await unit.execute(
        sql()["ready_document"],
        unit.tenant_id,
        version["document_id"],
        segment.id,
        segment.rows,
        *pages_as_stored(pages),
    )
    await _forget_batches(unit, version)


async def replaced(
    unit: TenantWriter, version: Any, segment: NewSegment, pages: PageCount | None
) -> None:
    """A version takes its document's place, which counts from now on for what it is."""
    tenant_id = unit.tenant_id
    target = await unit.fetchrow(sql()["document_by_id"], tenant_id, version["replaces"])
    await unit.execute(sql()["delete_document"], tenant_id, version["document_id"])
    await unit.execute(
        sql()["replace_document"],
        tenant_id,
        version["replaces"],
        version["content_hmac"],
        version["original_id"],
        version["original_bytes"],
        version["api_key_id"],
        version["request_id"],
        segment.id,
        segment.rows,
        version["card_bytes"],
        *pages_as_stored(pages),
    )
    smaller = _larger(_stored(target), _stored(version))
    await unit.fetchrow(sql()["count"], tenant_id, 0, -smaller)
    await _forget_batches(unit, target)
    await _forget_batches(unit, version)
    left = [name for name in (target["segment_id"], target["next_segment_id"]) if name is not None]
    empty = await unit.fetch(sql()["delete_segments_left"], tenant_id, left)
    await deleted_objects.note(
        unit,
        originals=[target["original_id"]],
        segments=[each["segment_id"] for each in empty],
    )


async def _forget_batches(unit: TenantWriter, row: Any) -> None:
    await unit.execute(sql()["delete_batches"], unit.tenant_id, row["content_hmac"], None, None)


def _stored(row: Any) -> int:
    return int(row["original_bytes"]) + int(row["card_bytes"])


def _larger(one: int, other: int) -> int:
    return max(0, one - other)
