"""Where a tenant's wrapped keys lie, and what a process that has just begun says of them."""

from __future__ import annotations

from pathlib import Path

from tests.support.shredding import Ground

from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.errors import TenantryError
from tenantry.domain.tenant import Principal
from tenantry.ports.keys import Purpose


async def refused(at: Ground, who: Principal, accounts: Path | None = None) -> str:
    """What a process that has just begun says of the tenant's key; '' where it is used."""
    try:
        keys = at.keys(accounts)
        await keys.create(at.home(who))
        await TenantSealer(keys).digest(at.home(who), Purpose.USER_HMAC, b"anna")
    except TenantryError as refusal:
        return refusal.message
    return ""


def folder(at: Ground, who: Principal) -> Path:
    return at.root / "accounts" / who.tenant.placement.account / "keys" / who.tenant_id
