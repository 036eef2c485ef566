"""Both books of a ledger in memory, for tests of the HTTP edge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from tenantry.domain.margin import Books, MarginBy
from tenantry.domain.tenant_months import TenantMonth


class MemoryMarginBooks:
    """Both books of two groups, whatever is asked."""

    async def books(
        self, start: datetime, end: datetime, by: MarginBy, tag: str
    ) -> tuple[list[Books], list[Mapping[str, Decimal]]]:
        earned = Books("acme", {"USD": Decimal("0.0315")}, cost=Decimal("0.0105"), requests=1)
        lost = Books("bolt", retries=Decimal("0.001"), requests=1)
        return [earned, lost], [earned.earned]

    async def months(self, start: datetime, end: datetime) -> list[TenantMonth]:
        return []
