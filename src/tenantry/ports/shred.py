"""What the shred of a tenant needs of the outside.

Owns: the words. The book and the register are the control plane's; content is reached through the
tenant's own unit of work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from tenantry.domain.ids import TenantId
from tenantry.domain.shred import Holder, Shred
from tenantry.ports.batch import BatchJob
from tenantry.ports.keys import KeyRotation, KeyStore


class TenantKeys(KeyStore, KeyRotation, Protocol):
    """The key store, with what it knows of its wrapped keys."""


class ShredBook(Protocol):
    """How far each shred is. A step that is written stays written; raises `Unavailable`."""

    async def begin(self, tenant_id: TenantId, asked_by: str) -> Shred:
        """In one commit: refused everywhere, API keys revoked, shred noted. Idempotent."""
        ...

    async def get(self, tenant_id: TenantId) -> Shred | None: ...

    async def unfinished(self, limit: int | None = None) -> Sequence[TenantId]:
        """The oldest first; None: all of them."""
        ...

    async def kms_retired(
        self, tenant_id: TenantId, kms_key: str, deletion_at: datetime | None
    ) -> None:
        """It had a root key of its own, which is retired. Idempotent; the last deletion stays."""
        ...

    async def kms_left(self, tenant_id: TenantId, arns: Collection[str]) -> None:
        """KMS keys that wrapped its keys and are left as they are. Idempotent; all stay noted."""
        ...

    async def troubled(self, tenant_id: TenantId, why: str | None) -> bool:
        """Why it could not go on, None where it did. Whether that is another reason than before."""
        ...

    async def keys_destroyed(self, tenant_id: TenantId) -> Shred: ...

    async def processes_ended(self, tenant_id: TenantId) -> Shred: ...

    async def found(self, tenant_id: TenantId, counts: Mapping[str, int]) -> Shred:
        """What there is to erase; the first count stays."""
        ...

    async def erased(self, tenant_id: TenantId) -> Shred: ...

    async def certified(self, tenant_id: TenantId, certificate: str, signature: bytes) -> Shred:
        """The first certificate stays the only one."""
        ...

    async def keys_revoked(self, tenant_id: TenantId) -> int:
        """How many API keys it had, all of them revoked."""
        ...

    async def accounts(self, tenant_id: TenantId) -> frozenset[str]:
        """Accounts that the tenant's ledger names: of its attempts and its batch jobs."""
        ...

    async def now(self) -> datetime: ...


class KeyHolders(Protocol):
    """The register of processes that may hold tenant keys in memory."""

    async def before(self, at: datetime, since: datetime) -> Sequence[Holder]:
        """Processes that began up to `at` and had not ended at `since`."""
        ...

    async def declare_gone(self, host_name: str) -> int:
        """An operator's word for processes of a host that nobody can reach. Returns how many."""
        ...


class TenantContent(Protocol):
    """What PostgreSQL names of a tenant's content."""

    async def accounts(self, tenant_id: TenantId) -> frozenset[str]:
        """Accounts other than the placement's whose objects rows still name."""
        ...

    async def jobs(self, tenant_id: TenantId) -> Sequence[BatchJob]: ...

    async def count(self, tenant_id: TenantId) -> Mapping[str, int]:
        """Rows of content and of budgets by table."""
        ...

    async def erase(self, tenant_id: TenantId) -> None:
        """Deletes every one of them. Idempotent."""
        ...
