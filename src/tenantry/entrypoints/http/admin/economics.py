"""`/admin/v1/economics`: margin by tenant, model or tag. Provider cost: operators only."""

from __future__ import annotations

import asyncio
from datetime import datetime

from tenantry.application.margin import TAG, margin_of
from tenantry.domain.errors import BadRequest
from tenantry.domain.margin import MarginBy
from tenantry.domain.period import Span, billing_period
from tenantry.entrypoints.http.call import Call
from tenantry.entrypoints.http.response import Response, json_response
from tenantry.entrypoints.http.time_query import span_of
from tenantry.entrypoints.margin_view import from_margin

_TAG_CHARS_MAX = 128


async def economics(call: Call) -> Response:
    """Without `from` and `to` of the running calendar month in UTC; by tenant."""
    query = call.query("from", "to", "by", "tag")
    span = span_of(query, month_of(call.services.clock.now()))
    try:
        by = MarginBy(query.get("by", MarginBy.TENANT))
    except ValueError:
        raise BadRequest(f"`by` is one of {', '.join(MarginBy)}.") from None
    tag = query.get("tag", TAG)
    if not 0 < len(tag) <= _TAG_CHARS_MAX:
        raise BadRequest(f"`tag` has 1 to {_TAG_CHARS_MAX} characters.")
    services = call.services
    report = await margin_of(
        services.margin_books, span.start, span.end, by, services.shared_costs, tag
    )
    return await asyncio.to_thread(lambda: json_response(from_margin(report, span.start, span.end)))


def month_of(now: datetime) -> Span:
    return billing_period(now, "UTC", 1)
