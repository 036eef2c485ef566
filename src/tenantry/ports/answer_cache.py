"""Where answers that may be given again are found. Their bytes lie sealed among the objects.

Owns: the words. Names are HMACs under a subkey of the tenant: equal requests of one tenant have one
name, and nothing is learnt from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An object of a tenant that an entry names, or named."""

    home: Home
    name: bytes
    object_id: str
    request_id: UUID | None = None  # that made it
    user_hash: str | None = None  # of the end user that it was made for


class AnswerIndex(Protocol):
    """A tenant's entries. Raises `Unavailable`."""

    async def find(self, tenant_id: TenantId, name: bytes) -> str | None:
        """The object of the entry, where there is one that has not expired."""
        ...

    async def keep(self, answer: StoredAnswer, ttl_s: int, most: int) -> bool:
        """Notes an answer. False: an entry of that name is there, or `most` of them are, or its end
        user was erased meanwhile."""
        ...

    async def take_out(self, tenant_id: TenantId, name: bytes, object_id: str) -> None:
        """Removes an entry, unless another object has its name by now. Idempotent."""
        ...


class ExpiredAnswers(Protocol):
    """The worker's side, across tenants."""

    async def expired(self, limit: int) -> Sequence[StoredAnswer]: ...

    async def forget(self, answer: StoredAnswer) -> None:
        """Removes the entry, unless another object has its name by now. Idempotent."""
        ...
