"""The manifest: which documents and segments of a tenant are live. The truth of every partition.

Each method is one transaction of one tenant. A segment's rows count only where the manifest maps
their document to that segment, so that a delete is one commit and a search fails closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tenantry.domain.document import DocumentLimits, DocumentRow
from tenantry.domain.ids import DocumentId, SegmentId, TenantId


@dataclass(frozen=True, slots=True)
class SegmentRow:
    id: SegmentId
    generation: int  # bound into every frame's associated data
    dimensions: int
    rows: int
    live_rows: int
    size_bytes: int
    documents: frozenset[DocumentId]  # those still live; rows of others are tombstones


@dataclass(frozen=True, slots=True)
class Partition:
    """One consistent view of a tenant's live segments."""

    generation: int  # grows with every change of what is live
    model: str  # whose vectors these are; empty where nothing was ever published
    segments: tuple[SegmentRow, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """What a partition is pinned to, and those of the asked segments that are live."""

    generation: int
    model: str
    dimensions: int
    documents: Mapping[SegmentId, frozenset[DocumentId]]  # the live ones of each


@dataclass(frozen=True, slots=True)
class NewSegment:
    id: SegmentId
    generation: int
    model: str
    dimensions: int
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Inserted:
    row: DocumentRow
    created: bool  # False: the same content was there already


@dataclass(frozen=True, slots=True)
class Removed:
    row: DocumentRow
    segments: tuple[SegmentId, ...]  # those that hold no live document any more


class Manifest(Protocol):
    """Errors: QuotaExceeded for the plan's limits; Unavailable for a database out of reach."""

    async def insert(
        self, tenant_id: TenantId, row: DocumentRow, limits: DocumentLimits, lease_s: float
    ) -> Inserted:
        """Add an `indexing` document within the limits, claimed by the caller.

        Content already held is returned as it is; a failed document of the same content starts
        anew with the new original.
        """
        ...

    async def by_content(self, tenant_id: TenantId, content_hmac: bytes) -> DocumentRow | None: ...

    async def document(
        self, tenant_id: TenantId, document_id: DocumentId
    ) -> DocumentRow | None: ...

    async def documents(
        self, tenant_id: TenantId, after: DocumentId | None, limit: int
    ) -> Sequence[DocumentRow]:
        """Newest first, those older than `after`."""
        ...

    async def claim(self, tenant_id: TenantId, limit: int, lease_s: float) -> Sequence[DocumentRow]:
        """`indexing` documents that nobody works on, oldest first; now the caller does."""
        ...

    async def keep(self, tenant_id: TenantId, document_id: DocumentId, lease_s: float) -> bool:
        """Prolong a claim. False: the document is gone or not `indexing` any more."""
        ...

    async def generation(self, tenant_id: TenantId) -> int:
        """0 for a tenant that never had a document."""
        ...

    async def partition(self, tenant_id: TenantId) -> Partition: ...

    async def live(
        self,
        tenant_id: TenantId,
        segments: Sequence[SegmentId] = (),
        documents: Sequence[DocumentId] = (),
    ) -> Live:
        """Of these segments, and of those of these documents, what is live at this moment.

        Costs what is asked for, however large the partition is.
        """
        ...

    async def publish(
        self, tenant_id: TenantId, segment: NewSegment, document_id: DocumentId
    ) -> bool:
        """The segment is live and the document `ready`. False: it is not `indexing` any more.

        Conflict where the partition holds vectors of another model or dimension.
        """
        ...

    async def fail(self, tenant_id: TenantId, document_id: DocumentId, code: str) -> None:
        """An `indexing` document becomes `failed`."""
        ...

    async def remove(self, tenant_id: TenantId, document_id: DocumentId) -> Removed | None: ...

    async def merge(
        self, tenant_id: TenantId, sources: Sequence[SegmentId], segment: NewSegment
    ) -> bool:
        """Replace whole segments by one. False, nothing changed: a source is gone already."""
        ...

    async def objects(self, tenant_id: TenantId) -> frozenset[str]:
        """Names of all originals and segments that the manifest names: the rest are orphans."""
        ...


class Unfinished(Protocol):
    """Across tenants, by the control plane: ids alone."""

    async def tenants(self, limit: int) -> Sequence[TenantId]:
        """Tenants with `indexing` documents that nobody works on."""
        ...
