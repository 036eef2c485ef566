"""Whose budget is meant: from how people name a scope to the subject that admission counts by.

Owns: that an end user may be named plainly and is kept as a hash of the tenant, the same that usage
is kept under.
"""

from __future__ import annotations

from tenantry.domain.budget import BudgetError, Scope, subject_of
from tenantry.domain.end_user import user_from
from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import Principal, Tenant
from tenantry.ports.labels import Labels


async def budget_subject(
    labels: Labels,
    tenant: Tenant,
    scope: Scope,
    scope_id: str | None,
    *,
    user_hash: str | None = None,
) -> str:
    """`scope_id` is an API key's id, a run, or a user as requests name them; a user may be given
    by `user_hash` instead. Raises `BadRequest`.
    """
    if user_hash is not None:
        if scope != "user" or scope_id is not None:
            raise BadRequest("`user_hash` stands alone, in place of a user's `scope_id`.")
        scope_id = user_hash
    elif scope == "user":
        user = user_from(scope_id, field="scope_id")
        scope_id = None if user is None else await user_hash_of(labels, tenant, user)
    if scope_id is None and scope != "tenant":
        raise BadRequest(f"`scope_id` is missing: which {scope}?")
    if scope == "tenant" and scope_id not in (None, tenant.id, tenant.name):
        raise BadRequest("`scope_id` of the scope tenant is the tenant itself.")
    try:
        return subject_of(scope, scope_id or "")
    except BudgetError as error:
        raise BadRequest(f"`scope_id`: {error}.") from None


async def user_hash_of(labels: Labels, tenant: Tenant, user: str) -> str:
    """How usage and budgets of a tenant know an end user."""
    return await labels.user_hash(Principal(tenant, ApiKeyId(""), frozenset()), user)
