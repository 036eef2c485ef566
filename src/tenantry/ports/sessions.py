"""Where conversations are found. What was said lies sealed among the objects.

Owns: the words. A conversation belongs to one tenant and, in it, to one owner: a keyed hash of the
end user and groups that began it. One turn at a time holds it, by a lease that ends by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId


@dataclass(frozen=True, slots=True)
class SessionName:
    """A conversation as its owner names it."""

    home: Home
    session_id: str
    owner: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """A conversation that a turn holds. `object_id` None: nothing was said yet.

    `loose` are objects of former turns, to be deleted by whoever holds it.
    """

    object_id: str | None
    turns: int
    loose: Sequence[str]


@dataclass(frozen=True, slots=True)
class ExpiredSession:
    """A conversation whose time is over, and every object that may be left of it."""

    home: Home
    session_id: str
    objects: Sequence[str]


class SessionIndex(Protocol):
    """A tenant's conversations. Raises `Unavailable`."""

    async def begin(
        self,
        name: SessionName,
        holder: str,
        user_hash: str | None,
        *,
        lease_s: int,
        ttl_s: int,
        most: int,
    ) -> bool:
        """A new conversation, held. Beyond `most` of the tenant the oldest end at once. False: its
        end user was erased meanwhile, and there is none."""
        ...

    async def hold(self, name: SessionName, holder: str, *, lease_s: int, turns: int) -> Held:
        """`holder` is the object that the turn will write.

        NotFound for one that is not there, has expired, or is another owner's; Conflict while
        another turn holds it; BadRequest where it has had its `turns`.
        """
        ...

    async def beat(self, name: SessionName, holder: str, *, lease_s: int) -> bool:
        """The turn goes on: its lease begins anew. False: it has passed to another."""
        ...

    async def keep(
        self, name: SessionName, holder: str, size_bytes: int, deleted: Sequence[str]
    ) -> bool:
        """What was said is in `holder` from now on. False: the lease has passed to another."""
        ...

    async def release(self, name: SessionName, holder: str) -> None:
        """The turn came to nothing. Idempotent."""
        ...

    async def end_of_user(self, home: Home, user_hashes: Sequence[str]) -> int:
        """All conversations under these hashes are gone; the sweep deletes what was said."""
        ...


class ExpiredSessions(Protocol):
    """The worker's side, across tenants."""

    async def expired(self, limit: int) -> Sequence[ExpiredSession]: ...

    async def forget(self, tenant_id: TenantId, session_id: str) -> None:
        """Idempotent."""
        ...
