"""An end user's erasure, for an admin of the tenant.

1. answers kept under idempotency keys: gone, and the keys stay used
2. answers that may be given again: object first, then its entry
3. conversations: over at once, and the sweep deletes what was said in them
4. budgets that were set for the user by the tenant
5. the name is parted from the ledger's hash: whoever comes under it again is somebody else
6. once more what was kept since: of a parted hash nothing is kept any more

What remains is the ledger, which is append-only, with a hash that no name leads to any more. Each
step may be repeated, and is done under every hash that any spelling of the name has led to, so that
what an erasure that was cut off has left is found, and what was kept before names were taken in one
form. Invariant: an end user that never was, and one of another
tenant, are erased with the same answer: nothing was there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
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


async def erase_user(
    erasure: Erasure, principal: Principal, spellings: Sequence[str]
) -> Mapping[str, int]:
    """How much of what was erased; `links` 1 where the ledger knew the user, whose name's
    `spellings_from` these are."""
    erased = await erasure.store.erased(principal.tenant_id)
    chains = [await erasure.labels.user_hashes(principal, each, erased) for each in spellings]
    user_hashes = [found for chain in chains for found in chain]
    before = await _forget(erasure, principal, user_hashes)
    # All at once: a request that began before may yet end under another one than it began with.
    parted = await erasure.store.part_from(principal.tenant_id, [chain[-1] for chain in chains])
    since = await _forget(erasure, principal, user_hashes)
    return {**{name: count + since[name] for name, count in before.items()}, "links": int(parted)}


async def _forget(
    erasure: Erasure, principal: Principal, user_hashes: Sequence[str]
) -> dict[str, int]:
    return {
        "results": await erasure.store.forget_results(principal.tenant_id, user_hashes),
        "replies": await _forget_replies(erasure, principal, user_hashes),
        "sessions": await erasure.sessions.end_of_user(home_of(principal.tenant), user_hashes),
        "budgets": await _forget_budgets(erasure, principal, user_hashes),
    }


async def _forget_replies(
    erasure: Erasure, principal: Principal, user_hashes: Sequence[str]
) -> int:
    tenant_id, home = principal.tenant_id, home_of(principal.tenant)
    count = 0
    while found := await erasure.store.replies_of(tenant_id, user_hashes, PAGE):
        for reply in found:
            at = replace(home, account=reply.account)
            await erasure.objects.delete(at, ObjectKind.ANSWER, reply.object_id)
            await erasure.store.forget_reply(tenant_id, reply.object_id)
        count += len(found)
    return count


async def _forget_budgets(
    erasure: Erasure, principal: Principal, user_hashes: Sequence[str]
) -> int:
    count = 0
    for user_hash in user_hashes:
        for period in PERIODS:
            key = BudgetKey(f"user:{user_hash}", period, "charge")
            with contextlib.suppress(NotFound, Forbidden):  # there is none, or the operator's
                await erasure.admin.remove_budget(principal, key)
                count += 1
    return count
