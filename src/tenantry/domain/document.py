"""A document of a tenant: what was uploaded, what became of it, what is known of it in clear."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tenantry.domain.errors import BadRequest, TooLarge
from tenantry.domain.ids import DocumentId, TenantId
from tenantry.domain.tenant import Tenant

UPLOAD_BYTES_MAX = 25 * 1024 * 1024
READY_AT_ONCE_BYTES = 1024 * 1024  # smaller uploads answer `ready`
TITLE_CHARS_MAX = 512
METADATA_KEYS_MAX = 32
METADATA_KEY_CHARS_MAX = 64
METADATA_TEXT_CHARS_MAX = 1_024
METADATA_LIST_MAX = 32
_SURROGATE = re.compile("[\ud800-\udfff]")

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


def check_text(text: str, name: str) -> None:
    """NUL and lone surrogates are refused: no store and no model takes them faithfully."""
    if "\x00" in text:
        raise BadRequest(f"`{name}` holds a NUL character.")
    if _SURROGATE.search(text):
        raise BadRequest(f"`{name}` holds a lone surrogate, which is not valid Unicode.")


def title_from(value: object) -> str:
    """A title of 1 to 512 characters, trimmed. Else BadRequest."""
    if not isinstance(value, str) or not value.strip():
        raise BadRequest("`title` must be a non-empty string.")
    check_text(value, "title")
    title = " ".join(value.split())
    if len(title) > TITLE_CHARS_MAX:
        raise BadRequest(f"`title` is longer than {TITLE_CHARS_MAX} characters.")
    return title


def metadata_from(value: object) -> dict[str, MetadataValue]:
    """A flat object of strings, numbers, booleans and lists of strings. Else BadRequest."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadRequest("`metadata` must be an object.")
    if len(value) > METADATA_KEYS_MAX:
        raise BadRequest(f"`metadata` holds at most {METADATA_KEYS_MAX} keys.")
    return {_metadata_key(key): _metadata_value(key, item) for key, item in value.items()}


def check_size(size_bytes: int) -> None:
    if size_bytes > UPLOAD_BYTES_MAX:
        raise TooLarge(f"The document is larger than {UPLOAD_BYTES_MAX // 1024 // 1024} MB.")


def _metadata_key(key: object) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= METADATA_KEY_CHARS_MAX:
        raise BadRequest(f"A key of `metadata` has 1 to {METADATA_KEY_CHARS_MAX} characters.")
    check_text(key, "metadata")
    return key


def _metadata_value(key: str, value: object) -> MetadataValue:
    if isinstance(value, (bool, int)):
        if not -(2**63) <= value < 2**63:
            raise BadRequest(f"`metadata.{key}` does not fit 64 bits.")
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str):
        return _metadata_text(key, value)
    if isinstance(value, (list, tuple)) and len(value) <= METADATA_LIST_MAX:
        return tuple(_metadata_text(key, item) for item in value)
    raise BadRequest(
        f"`metadata.{key}` must be a string, a finite number, a boolean or a short list of strings."
    )


def _metadata_text(key: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > METADATA_TEXT_CHARS_MAX:
        raise BadRequest(
            f"`metadata.{key}` holds strings of at most {METADATA_TEXT_CHARS_MAX} characters."
        )
    check_text(value, "metadata")
    return value
