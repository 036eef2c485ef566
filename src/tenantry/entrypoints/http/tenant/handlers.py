"""`/v1/usage`, `/v1/limits`, `/v1/invoices`."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tenantry.application.invoicing import draft_invoice
from tenantry.domain.end_user import user_from
from tenantry.domain.errors import NotFound
from tenantry.domain.invoice import DraftInvoice
from tenantry.domain.period import Span, billing_period
from tenantry.domain.tenant import Principal, Tenant
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.routes import Access, Route
from tenantry.entrypoints.http.time_query import groups_of, span_of
from tenantry.ports.clock import Clock
from tenantry.ports.ledger import TenantLedger, UsageRow

_DRAFT = "draft-"
USAGE_QUERY = ("from", "to", "group_by", "user", "run")


def period_now(tenant: Tenant, now: datetime) -> Span:
    return billing_period(now, tenant.zone, tenant.anchor_day)


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
    span = span_of(query, period_now(principal.tenant, call.services.clock.now()))
    groups = groups_of(query)
    user, run = user_from(query.get("user"), field="user"), query.get("run")
    rows = await call.services.ledger.usage(
        principal,
        span.start,
        span.end,
        groups,
        user_hash=None if user is None else await call.services.labels.user_hash(principal, user),
        run_id=run,
    )
    return json_response(
        {
            "from": span.start,
            "to": span.end,
            "group_by": groups,
            "data": [from_usage_row(row) for row in rows],
            "next_cursor": None,
        }
    )


async def invoices_of(
    ledger: TenantLedger, clock: Clock, principal: Principal
) -> list[dict[str, Any]]:
    """The draft of the running period, and of the one before where it was used at all."""
    now = clock.now()
    running = period_now(principal.tenant, now)
    before = running.start - timedelta(seconds=1)
    drafts = [await draft_invoice(ledger, principal, at, now) for at in (now, before)]
    if not any(line.kind == "usage" for line in drafts[1].lines):
        drafts.pop()
    return [
        {
            "number": number_of(draft),
            **{k: v for k, v in draft.to_json().items() if k != "lines"},
        }
        for draft in drafts
    ]


def number_of(draft: DraftInvoice) -> str:
    """A draft has no number yet: it is named by the civil day on which its period begins."""
    return f"{_DRAFT}{draft.period.start.astimezone(ZoneInfo(draft.zone)).date().isoformat()}"


async def invoice_of(
    ledger: TenantLedger, clock: Clock, principal: Principal, number: str
) -> dict[str, Any]:
    """One invoice with its lines. Raises `NotFound`."""
    now = clock.now()
    try:
        day = date.fromisoformat(number.removeprefix(_DRAFT))
        start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(principal.tenant.zone))
        draft = await draft_invoice(ledger, principal, start, now)
    except (ValueError, OverflowError):
        raise NotFound("There is no such invoice.") from None
    if number != number_of(draft) or draft.period.start > now:
        raise NotFound("There is no such invoice.")
    return {"number": number, **draft.to_json(), "sha256": draft.sha256()}


async def usage(call: Call) -> Response:
    return await usage_of(call, call.tenant(), call.query(*USAGE_QUERY))


async def limits(call: Call) -> Response:
    principal, ctx = call.tenant(), call.context()
    call.query()
    user_hash = None
    if ctx.user is not None:
        user_hash = await call.services.labels.user_hash(principal, ctx.user)
    found = await call.services.ledger.limits(principal, user_hash=user_hash, run_id=ctx.run_id)
    return json_response({"data": [dict(limit) for limit in found]})


async def invoices(call: Call) -> Response:
    call.query()
    data = await invoices_of(call.services.ledger, call.services.clock, call.tenant())
    return json_response({"data": data, "next_cursor": None})


async def invoice(call: Call) -> Response:
    services = call.services
    number = call.params["number"]
    return json_response(await invoice_of(services.ledger, services.clock, call.tenant(), number))


_FRESH = Access.TENANT_FRESH
ROUTES = (
    Route("GET", "/v1/usage", "tenantry", usage, _FRESH, "Usage and charges by group"),
    Route("GET", "/v1/limits", "tenantry", limits, _FRESH, "Limits and what is left of them"),
    Route("GET", "/v1/invoices", "tenantry", invoices, _FRESH, "Invoices, newest first"),
    Route("GET", "/v1/invoices/{number}", "tenantry", invoice, _FRESH, "One invoice"),
)
