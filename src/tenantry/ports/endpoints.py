"""Endpoints of tenants: where a tenant itself hears of its budgets, invoices and jobs.

Owns: the words. A secret is sealed before it is stored and returned once, when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from tenantry.domain.ids import TenantId

ENDPOINTS_MAX: Final = 5  # of one tenant


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`secrets` are one or two `whsec_…`: the present one first, then the one before it."""

    tenant_id: TenantId
    id: str
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None


class Endpoints(Protocol):
    async def add(self, tenant_id: TenantId, url: str) -> Endpoint:
        """Raises `BadRequest` past `ENDPOINTS_MAX` or for a URL that is not https with a name."""
        ...

    async def get(self, tenant_id: TenantId, endpoint_id: str) -> Endpoint | None: ...

    async def all_of(self, tenant_id: TenantId) -> list[Endpoint]: ...

    async def rotate(self, tenant_id: TenantId, endpoint_id: str) -> Endpoint:
        """A new secret; the present one signs beside it until the next rotation or
        `forget_previous`. Raises `NotFound`."""
        ...

    async def forget_previous(self, tenant_id: TenantId, endpoint_id: str) -> None: ...

    async def disable(self, tenant_id: TenantId, endpoint_id: str, reason: str) -> None: ...

    async def enable(self, tenant_id: TenantId, endpoint_id: str) -> None: ...

    async def remove(self, tenant_id: TenantId, endpoint_id: str) -> None: ...
