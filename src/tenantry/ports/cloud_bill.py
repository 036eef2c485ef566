"""The provider's bill as exported, and the ledger's costs in the bill's own grain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from tenantry.domain.bill import BillLine


@dataclass(frozen=True, slots=True)
class DayCost:
    """What one tenant's attempts of one day used of one class, by the day (UTC) they were sent.

    `late_…`: of its last seconds, as many as `domain.billed_later.late_s` has for the tier."""

    day: date
    account: str
    region: str
    tenant_id: str
    model: str
    price_key: str
    service_tier: str
    token_class: str
    quantity: int
    cost: Decimal
    late_quantity: int
    late_cost: Decimal


class CostBook(Protocol):
    """The provider's side of the ledger, across tenants."""

    def day_costs(self, start: date, end: date) -> AsyncIterator[Sequence[DayCost]]:
        """Of attempts sent on the days [start, end), in one snapshot."""
        ...

    async def archived_through(self) -> datetime | None:
        """The instant before which all is archived, and has no rows any more; None: nothing is."""
        ...

    async def tenant_names(self) -> Mapping[str, str]:
        """The id of each tenant by its id and by its name."""
        ...


class BillExport(Protocol):
    """Files of one Cost and Usage Report. Blocking."""

    def lines(self, start: date, end: date) -> Iterator[BillLine]:
        """Lines of files that may hold the days [start, end); of each billing period the newest
        delivery alone. Raises `BillError`, which names file and line, and `OSError`."""
        ...

    @property
    def files(self) -> int:
        """How many were read so far."""
        ...
