"""`/v1/usage`, `/v1/limits`, `/v1/invoices`."""

from __future__ import annotations

from typing import Any

from tenantry.application.invoice_lists import get_invoice, list_invoices
from tenantry.domain.end_user import user_from
from tenantry.domain.knowledge_base import knowledge_base_of
from tenantry.domain.tenant import Principal, Tenant
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.paging import PAGE, page_of
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import own
from tenantry.entrypoints.http.tenant.invoice_answer import invoice_answer
from tenantry.entrypoints.http.time_query import groups_of, span_of
from tenantry.entrypoints.http.usage_pages import usage_cursor, usage_page_of
from tenantry.ports.ledger import UsageRow

USAGE_QUERY = ("from", "to", "group_by", "user", "run", *PAGE)


def from_usage_row(row: UsageRow) -> dict[str, Any]:
    return {
        **row.group,
        "requests": row.requests,
        "tokens": dict(row.tokens),
        "charge": row.charge,
        "currency": row.currency,
    }


async def usage_of(call: Call, principal: Principal, query: dict[str, str]) -> Response:
    """Usage of one tenant; without `from` and `to`, of its running billing period. `user` is the
    end user as requests name them."""
    span = span_of(query, await call.services.ledger.period(principal))
    groups = groups_of(query)
    after, limit = usage_page_of(query, groups)
    user, run = user_from(query.get("user"), field="user"), query.get("run")
    rows = await call.services.ledger.usage(
        principal,
        span.start,
        span.end,
        groups,
        user_hash=None if user is None else await call.services.labels.user_hash(principal, user),
        run_id=run,
        after=after,
        limit=limit + 1,  # one more than asked for tells whether there is a next page
    )
    shown = rows[:limit]
    return json_response(
        {
            "from": span.start,
            "to": span.end,
            "group_by": groups,
            "data": [from_usage_row(row) for row in shown],
            "next_cursor": usage_cursor(shown[-1]) if len(rows) > limit else None,
        }
    )


async def usage(call: Call) -> Response:
    return await usage_of(call, call.tenant(), call.query(*USAGE_QUERY))


async def limits(call: Call) -> Response:
    principal, ctx = call.tenant(), call.context()
    call.query()
    user_hash = None
    if ctx.user is not None:
        user_hash = await call.services.labels.user_hash(principal, ctx.user)
    found = await call.services.ledger.limits(principal, user_hash=user_hash, run_id=ctx.run_id)
    return json_response(
        {
            "data": [dict(limit) for limit in found],
            "knowledge_base_id": knowledge_base_of(principal.tenant_id),
        }
    )


async def invoices_of(call: Call, tenant: Tenant, query: dict[str, str]) -> Response:
    """A page of one tenant's invoices; drafts stand on the first."""
    before, limit = page_of(query)
    billing = call.services.billing
    data = await list_invoices(
        billing.invoices,
        tenant,
        call.services.clock.now(),
        billing.issuer,
        before=before,
        limit=limit + 1,  # one more than asked for tells whether there is a next page
    )
    finals = [row for row in data if row["status"] != "draft"]
    if len(finals) > limit:
        data = data[:-1]
    more = finals[limit - 1]["number"] if len(finals) > limit else None
    return json_response({"data": data, "next_cursor": more})


async def invoice_of(call: Call, tenant: Tenant, number: str) -> Response:
    billing, clock = call.services.billing, call.services.clock
    found = await get_invoice(billing.invoices, tenant, number, clock.now(), billing.issuer)
    return await invoice_answer(call, found)


async def invoices(call: Call) -> Response:
    return await invoices_of(call, call.tenant().tenant, call.query(*PAGE))


async def invoice(call: Call) -> Response:
    call.query()
    return await invoice_of(call, call.tenant().tenant, call.params["number"])


ROUTES = (
    own("GET", "/v1/usage", usage, "Usage and charges by group", query=USAGE_QUERY),
    own("GET", "/v1/limits", limits, "Limits and what is left of them"),
    own("GET", "/v1/invoices", invoices, "Invoices, newest first", query=PAGE),
    own("GET", "/v1/invoices/{number}", invoice, "One invoice"),
)
