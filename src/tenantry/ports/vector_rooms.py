"""In which vector engines passages of a tenant are, or ever were.

Owns: the record, which outlives settings and content. Errors: Unavailable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tenantry.domain.ids import TenantId
from tenantry.domain.vector_room import VectorRoom


class VectorRooms(Protocol):
    """Of one tenant, in its own unit of work."""

    async def opened(self, tenant_id: TenantId, engine: str) -> None:
        """Rows are about to be written there: durable before the first one."""
        ...

    async def of(self, tenant_id: TenantId) -> Sequence[VectorRoom]: ...

    async def emptied(self, tenant_id: TenantId, engine: str, unused_s: float) -> None:
        """Nothing is left there. It stays open where it was opened again since so long."""
        ...


class EngineBook(Protocol):
    """Across tenants, by the control plane: counts alone."""

    async def open_engines(self) -> Mapping[str, int]:
        """How many tenants may have rows, by engine."""
        ...

    async def declare_gone(self, engine: str) -> int:
        """An operator's word for an engine that is gone for good. Returns of how many tenants."""
        ...
