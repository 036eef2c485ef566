"""A tenant's usage and invoices, for an operator: accounting facts, never content."""

from __future__ import annotations

from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import ApiKeyId
from tenantry.domain.tenant import Principal
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.tenant.handlers import (
    USAGE_QUERY,
    invoice_of,
    invoices_of,
    usage_of,
)


async def _as_tenant(call: Call, query: dict[str, str]) -> Principal:
    """The tenant's own view of its ledger: a principal without any scope."""
    name = query.pop("tenant", "")
    if not name:
        raise BadRequest("The query parameter `tenant` is missing.")
    tenant = await call.services.control.get_tenant(name)
    return Principal(tenant, ApiKeyId(""), frozenset())


async def usage(call: Call) -> Response:
    query = call.query("tenant", *USAGE_QUERY)
    return await usage_of(call, await _as_tenant(call, query), query)


async def invoices(call: Call) -> Response:
    principal = await _as_tenant(call, call.query("tenant"))
    data = await invoices_of(call.services.ledger, call.services.clock, principal)
    return json_response({"data": data, "next_cursor": None})


async def invoice(call: Call) -> Response:
    principal = await _as_tenant(call, call.query("tenant"))
    services = call.services
    found = await invoice_of(services.ledger, services.clock, principal, call.params["number"])
    return json_response(found)
