"""Tenants, plans, API keys, models and prices: what the data plane reads to know who asks.

Owns: the words. An implementation may cache what it returns for a bounded time and number,
because status of tenant and key, plan version and price version are decided again in the admit
batch.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from tenantry.domain.catalogue import Catalogue
from tenantry.domain.ids import TenantId
from tenantry.domain.price import PriceEdition
from tenantry.domain.tenant import Principal


class Directory(Protocol):
    """Raises `KeyWrong`, `KeyRevoked`, `KeyExpired`, `TenantSuspended` or `Unavailable`."""

    async def by_bearer(self, presented: str, *, fresh: bool) -> Principal:
        """The principal of a bearer API key. `fresh` reads the database: for routes that pass
        no admission.
        """
        ...

    async def by_access_key_id(self, access_key_id: str, *, fresh: bool) -> tuple[Principal, bytes]:
        """The principal of a SigV4 access key id, and its opened secret for the signature check."""
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

    async def check_active(self, tenant_id: TenantId, api_key_id: str, at: datetime) -> None:
        """Asks the database whether tenant and key are still good; raises if not."""
        ...
