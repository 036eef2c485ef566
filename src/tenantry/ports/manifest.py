"""The manifest: which documents and segments of a tenant are live. The truth of every partition.

Each method is one transaction of one tenant. A segment's rows count only where the manifest maps
their document to that segment, so that a delete is one commit and a search fails closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tenantry.domain.document import DocumentLimits, DocumentRow, IndexEdition, PageCount, Progress
from tenantry.domain.ids import DocumentId, SegmentId, TenantId
from tenantry.domain.space import Space
from tenantry.ports.objects import ObjectKind


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
class Spaces:
    """Which vectors a tenant's index holds, or is to hold. These decide, not the plan."""

    generation: int  # 0 for a tenant that never had a document
    live: Space | None = None  # of what is searched; None where nothing is
    next: Space | None = None  # of what a reindex builds; None where it is paused
    pin: str = ""  # of `live`, as `Vectors.pinned` names it: with the engine where it rests
    # Where nothing is searched, of what was last, or of what a reindex has chosen since.
    kept: Space | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedBatch:
    """Vectors that are paid for and not published yet; the object of that name holds them."""

    content_hmac: bytes
    space: Space
    first: int  # number of the first passage
    passages: int
    object_id: str


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
    restarted: bool = False  # it is a failed document of the same id and content


@dataclass(frozen=True, slots=True)
class Removed:
    row: DocumentRow
    segments: tuple[SegmentId, ...]  # those that hold no live document any more


class Deleted(NamedTuple):
    """An object that a deletion has left, to be deleted for good."""

    kind: ObjectKind
    name: str


class Manifest(Protocol):
    """Errors: QuotaExceeded for the plan's limits; Unavailable for a database out of reach."""

    async def insert(
        self, tenant_id: TenantId, row: DocumentRow, limits: DocumentLimits, lease_s: float
    ) -> Inserted:
        """Add an `indexing` document within the limits, claimed by the caller.

        Content already held is returned as it is; a failed document of the same content starts
        anew with the new original. Where the row replaces another it counts for what it is larger;
        NotFound where that one is gone, Conflict where it is being indexed or replaced, or where
        another document holds the content.
        """
        ...

    async def by_content(self, tenant_id: TenantId, content_hmac: bytes) -> DocumentRow | None:
        """A document, or a version on its way to replace one."""
        ...

    async def document(self, tenant_id: TenantId, document_id: DocumentId) -> DocumentRow | None:
        """A document; a version on its way is none."""
        ...

    async def documents(
        self, tenant_id: TenantId, after: DocumentId | None, limit: int
    ) -> Sequence[DocumentRow]:
        """Newest first, those older than `after`."""
        ...

    async def replacements(
        self, tenant_id: TenantId, wanted: Sequence[DocumentId]
    ) -> Sequence[DocumentRow]:
        """The versions on their way to replace these documents, at most one each."""
        ...

    async def claim(self, tenant_id: TenantId, limit: int, lease_s: float) -> Sequence[DocumentRow]:
        """`indexing` rows that nobody works on, oldest first; now the caller does."""
        ...

    async def keep(
        self,
        tenant_id: TenantId,
        row_id: DocumentId,
        lease_s: float,
        progress: Progress | None = None,
    ) -> bool:
        """Prolong a claim and say how far it is. False: it is gone or not `indexing` any more."""
        ...

    async def batches(
        self, tenant_id: TenantId, content_hmac: bytes, space: Space
    ) -> Sequence[EmbeddedBatch]:
        """What of a content is embedded already, in order."""
        ...

    async def keep_batch(self, tenant_id: TenantId, batch: EmbeddedBatch) -> bool:
        """Name a batch's object until its document is published.

        False: there is one already, or nobody waits for it any more.
        """
        ...

    async def spaces(self, tenant_id: TenantId) -> Spaces: ...

    async def generation(self, tenant_id: TenantId) -> int:
        """0 for a tenant that never had a document."""
        ...

    async def partition(
        self, tenant_id: TenantId, edition: IndexEdition = IndexEdition.LIVE
    ) -> Partition: ...

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
        self,
        tenant_id: TenantId,
        segment: NewSegment,
        document_id: DocumentId,
        original_id: str = "",
        edition: IndexEdition = IndexEdition.LIVE,
        pages: PageCount | None = None,
    ) -> bool:
        """The segment is live and the document `ready`, with its pages, in one commit.

        `original_id` says which version of the document it holds: one on its way takes the
        document's place, and the one before is searched no more. "": the one that is `indexing`.
        Edition `next`: the segment becomes the document's own in the index that a reindex builds,
        and the pages with it: what is shown is of the reading that is searched.
        False, nothing changed: that version is not waited for any more.
        Conflict where the partition holds vectors of another model or dimension.
        """
        ...

    async def fail(self, tenant_id: TenantId, row_id: DocumentId, code: str) -> None:
        """An `indexing` row becomes `failed`. A document that it was to replace stays as it is."""
        ...

    async def remove(self, tenant_id: TenantId, document_id: DocumentId) -> Removed | None:
        """With a document go the versions on their way; a version goes alone. Their originals, and
        the segments that are empty with them, are `deletions` from the same commit on."""
        ...

    async def merge(
        self,
        tenant_id: TenantId,
        sources: Sequence[SegmentId],
        segment: NewSegment,
        edition: IndexEdition = IndexEdition.LIVE,
    ) -> bool:
        """Replace whole segments by one. False, nothing changed: a source is gone already."""
        ...

    async def objects(self, tenant_id: TenantId) -> frozenset[str]:
        """Names of all objects that the manifest names: originals, segments, embedded batches.

        The rest are orphans.
        """
        ...

    async def deletions(self, tenant_id: TenantId, age_s: float, limit: int) -> Sequence[Deleted]:
        """What was deleted so long ago, by the database's clock, and may be there still; oldest
        first. Also what a version that replaced another has left."""
        ...

    async def deleted_of(self, tenant_id: TenantId, names: Sequence[str]) -> frozenset[str]:
        """Those of the names that are `deletions`, however young."""
        ...

    async def forget_deletions(self, tenant_id: TenantId, names: Sequence[str]) -> None:
        """They are gone. Idempotent."""
        ...


class Unfinished(Protocol):
    """Across tenants, by the control plane: ids alone."""

    async def tenants(self, limit: int) -> Sequence[TenantId]:
        """Tenants with `indexing` documents or a reindex that nobody works on."""
        ...
