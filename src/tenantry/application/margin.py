"""What a span earned and cost, from both books of the ledger."""

from __future__ import annotations

import asyncio
from datetime import datetime

from tenantry.domain.errors import BadRequest
from tenantry.domain.margin import MarginBy, MarginError, MarginReport, margin_report
from tenantry.domain.shared_costs import SharedCosts
from tenantry.ports.margin import MarginBooks

TAG = "feature"  # whose values are the groups by tag, where no other is named


async def margin_of(
    books: MarginBooks,
    start: datetime,
    end: datetime,
    by: MarginBy,
    costs: SharedCosts,
    tag: str = TAG,
) -> MarginReport:
    """Of what was admitted in [start, end). Raises `BadRequest` where a figure is missing. It is
    computed in a thread: of many tenants it takes long, and an operator asks who serves them."""
    groups, tenants = await books.books(start, end, by, tag)
    try:
        return await asyncio.to_thread(margin_report, by, groups, tenants, costs)
    except MarginError as error:
        raise BadRequest(f"No margin can be told: {error}.") from None
