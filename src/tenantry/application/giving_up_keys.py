"""Going on without a tenant's key that is lost.

Owns: that nothing is given up that is not lost, and in which order. Does not own: what is noted of
keys, nor how one is made. Invariants: once it is done no process goes on that may hold the lost
key, or know users by it; broken off anywhere, it is done by being asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.domain.document import home_of
from tenantry.domain.errors import BadRequest, Conflict, Unavailable
from tenantry.domain.tenant import Tenant, TenantStatus
from tenantry.ports.control import ControlPlane
from tenantry.ports.keys import KeyRotation
from tenantry.ports.noted_keys import KeyNotes


@dataclass(frozen=True, slots=True)
class GivenUp:
    """`budgets`: of end users, which nobody is under the key that is used next."""

    tenant: Tenant
    budgets: int


async def give_up_key(
    control: ControlPlane, keys: KeyRotation, notes: KeyNotes, name: str, confirmed: str
) -> GivenUp:
    """What the key store has is used next, or a new key. What the lost one sealed stays refused.

    BadRequest where `confirmed` is not the tenant's name. Conflict where no key is lost, and where
    the key store has one that does not open; Unavailable where the key store cannot be asked. Of a
    tenant that is being shredded nothing is made.
    """
    tenant = await control.get_tenant(name)
    if confirmed != tenant.name:
        raise BadRequest("That is not the tenant's name; nothing was changed.")
    home, is_shredded = home_of(tenant), tenant.status is TenantStatus.SHREDDED
    missing = await keys.missing(home)  # an outage of the key store says nothing of any key
    try:
        if not missing and (is_shredded or await keys.is_whole(home)):
            raise Conflict("The key store has every key that the tenant used; nothing was changed.")
    except Unavailable as problem:
        raise Conflict(
            f"{problem.message} Where that key is lost for good, move its file out of the key store"
            " first; nothing was changed."
        ) from None
    if not is_shredded:
        await keys.begin_anew(home)  # first: until it is noted, it is another one and refused
    return GivenUp(tenant, await notes.give_up(tenant.id))
