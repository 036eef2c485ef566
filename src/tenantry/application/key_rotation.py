"""Rotating tenant keys, or moving them to the KMS key that is now theirs, for one tenant or all.

Owns: which tenants, and going on where one fails. Does not own: how a key is made or moved.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from tenantry.application.pages import every_tenant
from tenantry.domain.document import home_of
from tenantry.domain.errors import TenantryError
from tenantry.domain.tenant import Tenant
from tenantry.ports.control import ControlPlane
from tenantry.ports.keys import KeyRotation, WrappedKey


@dataclass(frozen=True, slots=True)
class KeyState:
    """A tenant's key as it is now, or the problem that kept it as it was."""

    tenant: Tenant
    versions: Sequence[WrappedKey]
    moved: int = 0  # versions that another KMS key wraps now
    missing: Sequence[int] = ()  # that were used and are not in the key store
    problem: str | None = None


async def rotate_keys(
    control: ControlPlane,
    keys: KeyRotation,
    name: str | None,
    *,
    rewrap: bool,
    told: Callable[[KeyState], None],
) -> list[KeyState]:
    """Of the tenant named, or of every tenant that has a key. Idempotent with `rewrap`. Beside one
    that is damaged no version is made.

    `told` hears of each as it is done. One named tenant's failure is raised; of many, it is told
    and the others are done.
    """
    states = []
    async for tenant in _tenants(control, name):
        home = home_of(tenant)
        try:
            if name is None and not (await keys.versions(home) or await keys.missing(home)):
                continue
            moved = await keys.rewrap(home) if rewrap else 0
            if not rewrap:
                await keys.versions(home)
                await keys.rotate(home)
            missing = await keys.missing(home)
            state = KeyState(tenant, await keys.versions(home), moved, missing)
        except TenantryError as error:
            if name is not None:
                raise
            state = KeyState(tenant, (), problem=error.message)
        told(state)
        states.append(state)
    return states


async def _tenants(control: ControlPlane, name: str | None) -> AsyncIterator[Tenant]:
    if name is not None:
        yield await control.get_tenant(name)
        return
    async for tenant in every_tenant(control):
        yield tenant
