"""Budgets of all tenants, for an operator: also guards in provider cost."""

from __future__ import annotations

from typing import Any

from tenantry.application.budgets import budget_subject
from tenantry.domain.budget import BudgetKey, key_from_id
from tenantry.domain.errors import NotFound
from tenantry.entrypoints.http.admin import schema
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.json_body import to
from tenantry.entrypoints.http.paging import PAGE, page_response, required
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.tenant.budgets import (
    budget_page_of,
    check_currency,
    key_of,
    to_limit,
)
from tenantry.ports.control import Budget


async def list_budgets(call: Call) -> Response:
    query = call.query("tenant", *PAGE)
    after, limit = budget_page_of(query)
    tenant = await call.services.control.get_tenant(required(query, "tenant"))
    found = await call.services.control.list_budgets(tenant.id, after=after, limit=limit + 1)
    return page_response(found, limit, dict, lambda row: key_of(row).id)


async def set_budget(call: Call) -> Response:
    """Sets or replaces one; a user may be named plainly and is told by its hash."""
    asked = to(schema.BudgetRequest, call.json())
    control = call.services.control
    tenant = await control.get_tenant(asked.tenant)
    if asked.basis == "charge":
        check_currency(asked.currency, tenant.invoice_currency)
    amount = to_limit(asked.limit)
    subject = await budget_subject(
        call.services.labels, tenant, asked.scope, asked.scope_id, user_hash=asked.user_hash
    )
    key = BudgetKey(subject, asked.period, asked.basis)
    _, scope_id = key.scope
    await control.set_budget(
        Budget(tenant.id, asked.scope, scope_id, asked.period, asked.basis, amount, asked.hard)
    )
    told: dict[str, Any] = {
        "id": key.id,
        "tenant": asked.tenant,
        "scope": asked.scope,
        "scope_id": scope_id,
        "period": asked.period,
        "basis": asked.basis,
        "limit": amount,
        "hard": asked.hard,
    }
    return json_response(told, 201)


async def remove_budget(call: Call) -> Response:
    tenant = await call.services.control.get_tenant(required(call.query("tenant"), "tenant"))
    key = key_from_id(call.params["budget"])
    if key is None:
        raise NotFound("There is no such budget.")
    await call.services.control.remove_budget(tenant.id, key)
    return Response(204)
