"""Correcting what was rated by a price that is found to be wrong: a reversal plus new entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from tenantry.domain.ids import TenantId


@dataclass(frozen=True, slots=True)
class Rated:
    """One posted attempt: its lines by token class. Unit figures are for 1,000,000. The last two
    are empty where the customer was not charged."""

    admitted_at: datetime
    request_id: UUID
    call: int
    attempt: int
    price_key: str
    region: str
    service_tier: str
    token_classes: Sequence[str]
    quantities: Sequence[int]
    unit_costs: Sequence[Decimal]
    costs: Sequence[Decimal]
    unit_prices: Sequence[Decimal]
    charges: Sequence[Decimal]


@dataclass(frozen=True, slots=True)
class Fix:
    """What the lines of an attempt should have been, by another edition."""

    of: Rated
    price_version: int
    unit_costs: Sequence[Decimal]
    costs: Sequence[Decimal]
    unit_prices: Sequence[Decimal]
    charges: Sequence[Decimal]

    @property
    def changes(self) -> bool:
        """Whether anything comes out otherwise."""
        new, old = (self.unit_costs, self.unit_prices), (self.of.unit_costs, self.of.unit_prices)
        return [list(each) for each in new] != [list(each) for each in old]


class Corrections(Protocol):
    async def correctable(
        self,
        tenant_id: TenantId,
        start: datetime,
        end: datetime,
        version: int,
        model: str | None,
        after: Rated | None,
        limit: int,
    ) -> list[Rated]:
        """Usage admitted in [start, end) and rated by an edition, not corrected yet: behind `after`
        in the order of time, request, call and attempt. A request may be cut anywhere."""
        ...

    async def archived_through(self) -> datetime | None:
        """The instant before which all is archived, and has no rows any more; None: nothing is."""
        ...

    async def correct(self, tenant_id: TenantId, fixes: Sequence[Fix]) -> int:
        """Posts reversal and adjustment for each, once; returns how many it posted now."""
        ...
