"""Rows of the manifest as the words of its port."""

from __future__ import annotations

from typing import Any

from tenantry.domain.document import DocumentRow, DocumentState, PageCount
from tenantry.domain.ids import ApiKeyId, DocumentId, SegmentId
from tenantry.domain.space import Space
from tenantry.ports.manifest import EmbeddedBatch, SegmentRow


def document_of(row: Any) -> DocumentRow:
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
        replaces=None if row["replaces"] is None else DocumentId(row["replaces"]),
        passages_total=row["passages_total"],
        passages_done=row["passages_done"],
        request_id=row["request_id"],
        card_bytes=row["card_bytes"],
        pages=_pages_of(row),
    )


def _pages_of(row: Any) -> PageCount | None:
    if row["pages"] is None:
        return None
    return PageCount(row["pages"], row["pages_without_text"])


def pages_as_stored(pages: PageCount | None) -> tuple[int | None, int | None]:
    return (None, None) if pages is None else (pages.total, pages.without_text)


def segment_of(row: Any) -> SegmentRow:
    return SegmentRow(
        id=SegmentId(row["segment_id"]),
        generation=row["generation"],
        dimensions=row["dimensions"],
        rows=row["row_count"],
        live_rows=row["live_rows"] or 0,
        size_bytes=row["size_bytes"],
        documents=frozenset(DocumentId(name) for name in row["documents"] or ()),
    )


def batch_of(row: Any) -> EmbeddedBatch:
    return EmbeddedBatch(
        content_hmac=row["content_hmac"],
        space=Space(row["model"], row["dimensions"]),
        first=row["first"],
        passages=row["passages"],
        object_id=row["object_id"],
    )
