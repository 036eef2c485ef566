"""A document of a tenant: what was uploaded, what became of it, what is known of it in clear."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tenantry.domain.ids import ApiKeyId, DocumentId, TenantId
from tenantry.domain.tenant import Tenant

MetadataValue = str | int | float | bool | tuple[str, ...]
Metadata = Mapping[str, MetadataValue]


def fits_64_bits(value: float) -> bool:
    """Any finite number of double precision, and whole numbers of 64 bits with their sign."""
    return math.isfinite(value) if isinstance(value, float) else -(2**63) <= value < 2**63


READ_WHOLE_BYTES_MAX = 64 * 1024  # an original that is read for its card alone


class DocumentState(StrEnum):
    INDEXING = "indexing"
    READY = "ready"
    FAILED = "failed"


class IndexEdition(StrEnum):
    """Which index a publication is for."""

    LIVE = "live"  # the one that is searched
    NEXT = "next"  # the one that a reindex builds beside it


@dataclass(frozen=True, slots=True)
class Home:
    """Where a tenant's content rests and whose KMS key wraps its tenant key."""

    tenant_id: TenantId
    account: str
    own_kms_key: bool = False


def home_of(tenant: Tenant) -> Home:
    own = tenant.plan.kms_key == "own" or tenant.placement.kms_key == "own"
    return Home(tenant.id, tenant.placement.account, own)


@dataclass(frozen=True, slots=True)
class Card:
    """What the tenant says of a document. Content: it is sealed wherever it rests."""

    title: str
    content_type: str
    file_name: str = ""
    metadata: Metadata = field(default_factory=dict)
    access: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PageCount:
    """Of a PDF, as it was read. Of pages without text nothing can be found."""

    total: int
    without_text: int  # scanned, damaged, blank, or in fonts without letters


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """What the manifest knows in clear: ids, state, sizes, counts, times and a keyed digest."""

    id: DocumentId
    state: DocumentState
    content_hmac: bytes  # 32 bytes, under a subkey of the tenant key
    original_id: str  # the object that holds card and original, sealed
    api_key_id: ApiKeyId  # whose upload it was: embedding is metered to it
    original_bytes: int
    passages: int
    created_at: datetime
    updated_at: datetime
    failure: str | None = None  # an error's stable code
    replaces: DocumentId | None = None  # a version on its way to take this document's place
    passages_total: int = 0  # 0: not split yet
    passages_done: int = 0  # embedded and kept
    request_id: UUID | None = None  # the request that counts for the day
    card_bytes: int = 0  # of the card at rest; 0 for documents of before it was counted
    pages: PageCount | None = None  # None: no PDF, not ready yet, or read before pages were kept

    @property
    def stored_bytes(self) -> int:
        """What counts against the plan's storage."""
        return self.original_bytes + self.card_bytes

    @property
    def has_card_beside(self) -> bool:
        """Whether the card rests a second time, so that the original need not be opened for it."""
        return bool(self.card_bytes) and self.original_bytes > READ_WHOLE_BYTES_MAX

    @property
    def document_id(self) -> DocumentId:
        """The document that this is, or is a version of."""
        return self.replaces or self.id


@dataclass(frozen=True, slots=True)
class Progress:
    """Passages of a document that are embedded, of so many. 0 of 0: it is not split yet."""

    done: int = 0
    total: int = 0


def progress_of(row: DocumentRow) -> Progress:
    if row.state is DocumentState.READY:
        return Progress(row.passages, row.passages)
    return Progress(row.passages_done, row.passages_total)


@dataclass(frozen=True, slots=True)
class Replacement:
    """A version on its way: how far it is, or why it failed. The document stays as it was."""

    status: DocumentState  # `indexing` or `failed`
    size_bytes: int
    progress: Progress
    created_at: datetime
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its tenant sees it."""

    id: DocumentId
    status: DocumentState
    card: Card
    size_bytes: int
    passages: int
    created_at: datetime
    updated_at: datetime
    failure: str | None = None
    progress: Progress = Progress()
    replacement: Replacement | None = None
    pages: PageCount | None = None  # as in its row


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The plan's bounds; None = unlimited, 0 = none at all."""

    documents_max: int | None
    storage_bytes_max: int | None
    document_bytes_max: int | None = None  # of one document


def limits_of(tenant: Tenant) -> DocumentLimits:
    plan = tenant.plan
    return DocumentLimits(
        plan.documents_max, _bytes_of(plan.storage_max_mb), _bytes_of(plan.document_max_mb)
    )


def _bytes_of(megabytes: int | None) -> int | None:
    return None if megabytes is None else megabytes * 1_000_000
