"""Both books over a span, for the operator's margin reports and advice.

Owns: the words. Provider cost is in them: nothing of this is ever shown to a tenant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from tenantry.domain.margin import Books, MarginBy
from tenantry.domain.tenant_months import TenantMonth


class MarginBooks(Protocol):
    async def books(
        self, start: datetime, end: datetime, by: MarginBy, tag: str
    ) -> tuple[Sequence[Books], Sequence[Mapping[str, Decimal]]]:
        """Each group of what was admitted in [start, end), and what each tenant brought, by
        currency: list charges, and what invoices of periods that begin in the span add or take.
        What audits used is a group of its own, `is_audit`.

        `tag`: the name of the tag whose values are the groups by tag.
        """
        ...

    async def months(self, start: datetime, end: datetime) -> Sequence[TenantMonth]:
        """Months of all tenants with any cost or charge, in order of tenant and month; of an
        audit's canaries none."""
        ...
