"""Lists that are read in pages, to their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from tenantry.domain.tenant import Tenant, TenantStatus
from tenantry.ports.control import ControlPlane

PAGE: Final = 1_000  # rows; the most that an adapter gives at once
_TENANTS: Final = 100  # rows; few, for work on one takes long and the next should be as it is now

T = TypeVar("T")
K = TypeVar("K")


async def to_the_end(
    page: Callable[[K | None], Awaitable[Sequence[T]]], place: Callable[[T], K]
) -> list[T]:
    """All rows of a list. `page` gives those after a place (None: the first); it ends where
    nothing comes any more."""
    found: list[T] = []
    after: K | None = None
    while rows := await page(after):
        found += rows
        after = place(rows[-1])
    return found


async def every_tenant(
    control: ControlPlane, *, after: str | None = None, page_rows: int = _TENANTS
) -> AsyncIterator[Tenant]:
    """By id, shredded ones too; those behind `after`, where it is given."""
    while page := await control.list_tenants(after=after, limit=page_rows):
        for tenant in page:
            yield tenant
        after = page[-1].id


async def living_tenants(control: ControlPlane) -> AsyncIterator[Tenant]:
    """By id, each that is not shredded."""
    async for tenant in every_tenant(control):
        if tenant.status is not TenantStatus.SHREDDED:
            yield tenant
