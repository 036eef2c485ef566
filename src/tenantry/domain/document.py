"""A document of a tenant: what was uploaded, what became of it, what is known of it in clear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tenantry.domain.ids import ApiKeyId, DocumentId, TenantId
from tenantry.domain.tenant import Tenant

MetadataValue = str | int | float | bool | tuple[str, ...]
Metadata = Mapping[str, MetadataValue]


class DocumentState(StrEnum):
    INDEXING = "indexing"
    READY = "ready"
    FAILED = "failed"


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


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The plan's bounds; None = unlimited, 0 = none at all."""

    documents_max: int | None
    storage_bytes_max: int | None


def limits_of(tenant: Tenant) -> DocumentLimits:
    megabytes = tenant.plan.storage_max_mb
    storage = None if megabytes is None else megabytes * 1_000_000
    return DocumentLimits(tenant.plan.documents_max, storage)
