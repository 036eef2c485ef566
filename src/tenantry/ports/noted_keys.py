"""What the database knows of tenant keys: which were ever used, by fingerprint, and which KMS keys
may wrap them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from tenantry.domain.ids import TenantId


class NotedKeys(Protocol):
    """A key is noted before its first use and its note stands until the tenant is shredded, or an
    operator gives the key up. Each method raises `Unavailable` without the database.
    """

    async def versions(self, tenant_id: TenantId) -> Collection[int]:
        """Versions of the tenant key that were ever used."""
        ...

    async def wrapped_by(self, tenant_id: TenantId) -> Mapping[int, frozenset[str] | None]:
        """By version that was ever used: ARNs of every key in AWS KMS that wraps it or did since it
        is noted. None: nobody can tell, as of before that was noted."""
        ...

    async def note(
        self, tenant_id: TenantId, version: int, fingerprint: bytes, kms_arns: Collection[str]
    ) -> bytes | None:
        """The fingerprint, 32 bytes, that stands for the version: this one where none did. Where it
        is this one, `kms_arns` are added to those that are noted.

        Durable on return, idempotent; of several at once the first stands. None: there is no such
        tenant, or it is shredded.
        """
        ...


class KeyNotes(Protocol):
    """The same of every tenant, for operators. Raises `Unavailable`."""

    async def of(self, tenant_ids: Sequence[TenantId]) -> Mapping[TenantId, frozenset[int]]:
        """Versions that were ever used; no entry for a tenant of whom none was."""
        ...

    async def give_up(self, tenant_id: TenantId) -> int:
        """Nothing is noted of the tenant's keys any more, and every process that may hold one makes
        place for another. Returns how many budgets of users there are, who are others from now on.

        What the key store has then is noted when it is next used; where it has none, one is made.
        """
        ...
