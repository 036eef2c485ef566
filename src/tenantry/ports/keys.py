"""Keys: a KMS key wraps one tenant key for each tenant; subkeys are derived and never stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tenantry.domain.document import Home

SHARED_KMS_KEY = "shared"  # the id of an account's key that wraps the keys of all its tenants


class Purpose(StrEnum):
    """What a subkey is for. The value goes into the derivation: it never changes its meaning."""

    CONTENT_HMAC = "content-hmac"
    USER_HMAC = "user-hmac"
    PROMPT_SALT = "prompt-salt"
    SEGMENT = "segment"
    BLOB = "blob"
    IDEMPOTENCY_HMAC = "idempotency-hmac"
    ANSWER_HMAC = "answer-hmac"


class KeyStore(Protocol):
    """Wrapped tenant keys, opened into a bounded cache. Only ever asked on behalf of one tenant.

    A missing tenant key is NotFound, one that does not open is Corrupt, a disabled KMS key or a
    store out of reach is Unavailable.
    """

    async def create(self, home: Home) -> None:
        """Make the tenant's key where it has none; durable on return, idempotent."""
        ...

    async def version(self, home: Home) -> int:
        """The version of the tenant key that seals what is new."""
        ...

    async def subkey(self, home: Home, version: int, purpose: Purpose, context: bytes) -> bytes:
        """32 bytes by HKDF-SHA-256 of the tenant key, labelled with purpose and context."""
        ...

    async def forget(self, home: Home) -> None:
        """Drop the tenant key from the cache and zero its slot."""
        ...

    async def destroy(self, home: Home) -> None:
        """Delete every copy of the wrapped key: what it sealed can never be opened again."""
        ...


@dataclass(frozen=True, slots=True)
class Retirement:
    """What became of a root key that is never to be used again.

    `deletion_at` is when its store will have deleted it; None where nothing is left to delete.
    """

    disabled: bool
    deletion_at: datetime | None


class KmsKeys(Protocol):
    """Root keys of one account: they wrap and unwrap, and never leave their store."""

    async def create(self, account: str, key_id: str) -> None:
        """Make a root key where there is none under this id."""
        ...

    async def wrap(self, account: str, key_id: str, key: bytes, bound_to: bytes) -> bytes: ...

    async def unwrap(self, account: str, key_id: str, wrapped: bytes, bound_to: bytes) -> bytes:
        """Corrupt where key or binding differ; Unavailable where the root key is disabled."""
        ...

    async def retire(self, account: str, key_id: str) -> Retirement:
        """Disable a tenant's own root key for good, then delete it as soon as its store allows.

        Idempotent; a key that never was is retired already. Conflict for the shared key, which
        other tenants need.
        """
        ...


class Sealer(Protocol):
    """Seals content of a tenant before any store sees it, bound to tenant, kind and object id."""

    async def seal(self, home: Home, kind: str, object_id: str, plain: bytes) -> bytes: ...

    async def open(self, home: Home, kind: str, object_id: str, sealed: bytes) -> bytes:
        """The plaintext, or Corrupt: changed, swapped, of another tenant, kind or object."""
        ...

    async def digest(self, home: Home, purpose: Purpose, data: bytes) -> bytes:
        """HMAC-SHA-256 under a subkey of the tenant: finds equal content, reveals none."""
        ...
