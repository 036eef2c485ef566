"""Which tenants should have an account of their own, from the ledger itself."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from tenantry.domain.advice import Advice, advise
from tenantry.domain.shared_costs import SharedCosts
from tenantry.domain.tenant_months import first_month, standings_of
from tenantry.ports.margin import MarginBooks


async def advice_from_ledger(
    books: MarginBooks, now: datetime, compliance: Collection[str], costs: SharedCosts
) -> tuple[str, dict[str, tuple[Advice, bool]]]:
    """The last closed month; and by tenant the advice, and whether it has its own account now."""
    months = await books.months(first_month(now), now)
    standings = standings_of(months, now, compliance, costs.usd_per)
    silo = {row.tenant: row.silo for row in months}
    running = now.astimezone(UTC)
    year, month = divmod(running.year * 12 + running.month - 2, 12)
    advice = {name: (advise(standing), silo[name]) for name, standing in standings.items()}
    return f"{year:04}-{month + 1:02}", advice
