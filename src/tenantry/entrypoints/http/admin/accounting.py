"""A tenant's usage and invoices, for an operator: accounting facts, never content."""

from __future__ import annotations

from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.invoice import DRAFT
from tenantry.domain.tenant import Principal, Tenant
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.paging import PAGE
from tenantry.entrypoints.http.response import Response
from tenantry.entrypoints.http.tenant.handlers import (
    USAGE_QUERY,
    invoice_of,
    invoices_of,
    usage_of,
)


async def tenant_of(call: Call, query: dict[str, str]) -> Tenant:
    """The tenant that the query names, by id or name."""
    name = query.pop("tenant", "")
    if not name:
        raise BadRequest("The query parameter `tenant` is missing.")
    return await call.services.control.get_tenant(name)


async def usage(call: Call) -> Response:
    """The tenant's own view of its ledger: a principal without any scope."""
    query = call.query("tenant", *USAGE_QUERY)
    tenant = await tenant_of(call, query)
    return await usage_of(call, Principal(tenant, ApiKeyId(""), frozenset()), query)


async def invoices(call: Call) -> Response:
    query = call.query("tenant", *PAGE)
    return await invoices_of(call, await tenant_of(call, query), query)


async def invoice(call: Call) -> Response:
    """By its number alone, or a draft of the tenant that is named."""
    query, number = call.query("tenant"), call.params["number"]
    if not query and not number.startswith(DRAFT):
        query = {"tenant": await call.services.billing.book.owner(number)}
    return await invoice_of(call, await tenant_of(call, query), number)
