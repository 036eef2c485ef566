"""A report over many tenants keeps no other request waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from tenantry.application.margin import margin_of
from tenantry.domain.margin import Books, MarginBy
from tenantry.domain.shared_costs import SharedCosts
from tenantry.domain.tenant_months import TenantMonth

GROUPS = [Books("acme", {"USD": Decimal(3)}), Books("bolt", {"USD": Decimal(4)})]
MONTH = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


class Watched(list[Books]):
    """Tells when it is gone through."""

    def __init__(self, groups: Sequence[Books], told: Callable[[], None]) -> None:
        super().__init__(groups)
        self._told = told

    def __iter__(self) -> Iterator[Books]:
        self._told()
        return super().__iter__()


class Ledger:
    def __init__(self, groups: Sequence[Books]) -> None:
        self._groups = groups

    async def books(
        self, start: datetime, end: datetime, by: MarginBy, tag: str
    ) -> tuple[Sequence[Books], Sequence[Mapping[str, Decimal]]]:
        return self._groups, [each.earned for each in GROUPS]

    async def months(self, start: datetime, end: datetime) -> Sequence[TenantMonth]:
        return []


def test_the_loop_goes_on_while_a_report_is_computed() -> None:
    went_on = threading.Event()
    waited: list[bool] = []

    async def ask() -> Decimal:
        loop = asyncio.get_running_loop()

        def begun() -> None:
            loop.call_soon_threadsafe(went_on.set)
            waited.append(went_on.wait(5))

        ledger = Ledger(Watched(GROUPS, begun))
        report = await margin_of(ledger, *MONTH, MarginBy.TENANT, SharedCosts())
        return report.total.revenue

    assert asyncio.run(ask()) == 7
    assert waited and all(waited)
