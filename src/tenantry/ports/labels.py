"""Names that say nothing: keyed hashes under a tenant's own key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tenantry.domain.tenant import Principal


class Labels(Protocol):
    async def user_hash(
        self, principal: Principal, user: str, erased: frozenset[str] | None = None
    ) -> str:
        """An end user's name as the ledger keeps it; equal within a tenant, unrelated across.
        `user`: as `domain.end_user.user_from` has it. `erased`: as the name led when these were;
        None: as it leads now.

        Where a budget is under the hash of the decomposed spelling alone, it is that one: the
        budget was set before names were taken in one form, and holds on."""
        ...

    async def user_hashes(
        self, principal: Principal, user: str, erased: frozenset[str]
    ) -> Sequence[str]:
        """Every hash that this spelling of a name has led to, as it leads when these are erased;
        the last is the present one."""
        ...

    async def erased(self, principal: Principal) -> frozenset[str]:
        """The tenant's hashes that no name leads to any more."""
        ...

    async def salt(self, principal: Principal) -> str:
        """The tenant's stable line ahead of cached prompts; reveals nothing of its id."""
        ...
