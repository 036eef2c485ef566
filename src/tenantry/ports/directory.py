"""Tenants, plans, API keys, models and prices: what the data plane reads to know who asks.

Owns: the words. An implementation may cache what it returns for a bounded time and number,
because status of tenant and key, plan version and price version are decided again in the admit
batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tenantry.domain.catalogue import Catalogue
from tenantry.domain.errors import TenantryError
from tenantry.domain.ids import TenantId
from tenantry.domain.price import PriceEdition
from tenantry.domain.tenant import Principal


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """Whose an access key id is, before anybody has shown to hold its secret.

    `who` is the principal, or why key or tenant are not good: only who signs with the secret may
    learn of it, since access key ids are no secrets.
    """

    secret: bytes
    who: Principal | TenantryError


class Directory(Protocol):
    """Raises `KeyWrong`, `KeyRevoked`, `KeyExpired`, `TenantSuspended` or `Unavailable`."""

    async def by_bearer(self, presented: str, *, fresh: bool) -> Principal:
        """The principal of a bearer API key. `fresh` reads the database: for routes that pass
        no admission.
        """
        ...

    async def by_access_key_id(self, access_key_id: str, *, fresh: bool) -> Signer:
        """The signer of a SigV4 access key id, its secret opened; of the errors `KeyWrong` and
        `Unavailable` alone are raised.
        """
        ...

    async def refresh(self, principal: Principal) -> Principal:
        """The same API key's principal, read anew: after a stale verdict."""
        ...

    def forget(self, tenant_id: TenantId) -> None:
        """Drops what is cached of a tenant."""
        ...

    async def prices(self, *, reload: bool = False) -> PriceEdition:
        """The edition in force now, by the database's clock."""
        ...

    async def edition(self, version: int) -> PriceEdition:
        """A stored edition, whatever is in force now: what a true-up rates at."""
        ...

    async def catalogue(self) -> Catalogue: ...
