"""An end user's erasure, for an admin of the tenant.

1. answers kept under idempotency keys: gone, and the keys stay used
2. answers that may be given again: object first, then its entry
3. conversations: over at once, and the sweep deletes what was said in them
4. budgets that were set for the user by the tenant
5. the name is parted from the ledger's hash: whoever comes under it again is somebody else
6. answers that were kept since the first step; the store keeps none of a parted hash

What remains is the ledger, which is append-only, with a hash that no name leads to any more. Each
step may be repeated. Invariant: an end user that never was, and one of another tenant, are erased
with the same answer: nothing was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tenantry.domain.budget import PERIODS, BudgetKey
from tenantry.domain.document import home_of
from tenantry.domain.errors import Forbidden, NotFound
from tenantry.domain.tenant import Principal
from tenantry.ports.export import TenantExport
from tenantry.ports.labels import Labels
from tenantry.ports.objects import ObjectKind, Objects
from tenantry.ports.sessions import SessionIndex
from tenantry.ports.tenant_admin import TenantAdmin

PAGE: Final = 100
REMAINS: Final = (
    "the ledger, its roll-ups and invoices, which are append-only: times, models, counts and"
    " charges under a keyed hash that no name leads to any more",
    "tags, run labels and documents, which belong to the tenant and name whom the tenant lets them"
    " name",
    "backups of before, sealed under the tenant's key",
    "what Bedrock's invocation log of the account holds, which is outside of Tenantry",
)


@dataclass(frozen=True, slots=True)
class Erasure:
    """What erasing works with."""

    store: TenantExport
    objects: Objects
    admin: TenantAdmin
    labels: Labels
    sessions: SessionIndex


async def erase_user(erasure: Erasure, principal: Principal, user: str) -> Mapping[str, int]:
    """How much of what was erased; `links` 1 where the ledger knew the user."""
    tenant_id = principal.tenant_id
    user_hash = await erasure.labels.user_hash(principal, user)
    results = await erasure.store.forget_results(tenant_id, user_hash)
    replies = await _forget_replies(erasure, principal, user_hash)
    home = home_of(principal.tenant)
    sessions = await erasure.sessions.end_of_user(home, user_hash)
    budgets = 0
    for period in PERIODS:
        try:
            key = BudgetKey(f"user:{user_hash}", period, "charge")
            await erasure.admin.remove_budget(principal, key)
        except (NotFound, Forbidden):  # there is none, or it is the operator's
            continue
        budgets += 1
    parted = await erasure.store.part_from(tenant_id, user_hash)
    if parted:
        results += await erasure.store.forget_results(tenant_id, user_hash)
    return {
        "results": results,
        "replies": replies,
        "sessions": sessions,
        "budgets": budgets,
        "links": int(parted),
    }


async def _forget_replies(erasure: Erasure, principal: Principal, user_hash: str) -> int:
    tenant_id, home = principal.tenant_id, home_of(principal.tenant)
    count = 0
    while found := await erasure.store.replies(tenant_id, None, PAGE, user_hash):
        for reply in found:
            at = replace(home, account=reply.account)
            await erasure.objects.delete(at, ObjectKind.ANSWER, reply.object_id)
            await erasure.store.forget_reply(tenant_id, reply.object_id)
        count += len(found)
    return count
