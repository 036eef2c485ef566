"""What PostgreSQL tells of a tenant for its export, and forgets of an end user.

Owns: the words. Everything is read in units of work of the one tenant. Pages are in an order of
their own; `after` is a page's last row, told by its cursor, and None is the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from tenantry.domain.ids import TenantId
from tenantry.ports.batch import BatchJob
from tenantry.ports.idempotency import UsedKey


@dataclass(frozen=True, slots=True)
class KeptResult:
    """The sealed answer of an idempotency key that has not expired."""

    key: UsedKey
    request_id: UUID
    expires_at: datetime
    sealed: bytes
    cursor: str


@dataclass(frozen=True, slots=True)
class KeptReply:
    """An entry of the answer cache."""

    account: str
    name: bytes
    object_id: str
    request_id: UUID | None
    expires_at: datetime
    cursor: str


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A conversation that is not over. `object_id` None: nothing was said yet."""

    account: str
    session_id: str
    object_id: str | None
    turns: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A posting of the customer's book, with its lines."""

    told: Mapping[str, Any]
    cursor: str


class TenantExport(Protocol):
    """Raises `BadRequest` for a cursor that is none. `user_hashes`: of the end user alone that has
    these."""

    async def usage(
        self, tenant_id: TenantId, after: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> Sequence[Entry]: ...

    async def results(
        self, tenant_id: TenantId, after: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> Sequence[KeptResult]: ...

    async def replies(
        self, tenant_id: TenantId, after: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> Sequence[KeptReply]: ...

    async def sessions(
        self, tenant_id: TenantId, after: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> Sequence[KeptSession]:
        """By id; the last one's is the cursor."""
        ...

    async def jobs(self, tenant_id: TenantId, after: str | None, limit: int) -> Sequence[BatchJob]:
        """By id; the last one's is the cursor."""
        ...

    async def replies_of(
        self, tenant_id: TenantId, user_hashes: Sequence[str], limit: int
    ) -> Sequence[KeptReply]:
        """Some of those under these hashes; empty: there are none."""
        ...

    async def forget_results(self, tenant_id: TenantId, user_hashes: Sequence[str]) -> int:
        """Their answers are gone; the keys stay used, so that nothing runs twice."""
        ...

    async def forget_reply(self, tenant_id: TenantId, object_id: str) -> None: ...

    async def part_from(self, tenant_id: TenantId, user_hashes: Sequence[str]) -> bool:
        """No name leads to these hashes any more, which are of one user. False: the books know of
        no such user, or none did before.

        From its end on nothing is kept under them, also by who began before. Conflict where so
        many were erased that no more can be kept apart.
        """
        ...

    async def erased(self, tenant_id: TenantId) -> frozenset[str]:
        """Hashes that no name leads to any more, as they are now."""
        ...


class ErasedUsers(Protocol):
    """Hashes that no name leads to any more."""

    async def of(self, tenant_id: TenantId) -> frozenset[str]: ...


class CappedUsers(Protocol):
    """Hashes of end users that a budget is set for."""

    async def of(self, tenant_id: TenantId) -> frozenset[str]: ...
