"""Correcting what was rated by a price that is found to be wrong: a reversal plus new entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from tenantry.domain.ids import TenantId
from tenantry.domain.markup import Markup


@dataclass(frozen=True, slots=True)
class Rated:
    """What stands of an attempt by all that was posted for it: its lines by token class. Unit
    figures are for 1,000,000. Prices and charges are empty where the customer is not charged.
    `step` counts what was posted after its end; the first figures are those of the posting that
    rated it first, line by line, and empty where that is the only one. `markup` is of the model,
    by the version of the plan that charged it: None where every line has a cost, so that nobody
    asks, and where the version is not known."""

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
    step: int = 0
    first_unit_costs: Sequence[Decimal] = ()
    first_unit_prices: Sequence[Decimal] = ()
    markup: Markup | None = None


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


@dataclass(frozen=True, slots=True)
class StillOpen:
    """Attempts that have not ended, and settle by the edition of their admission. `first`: of the
    oldest requests, how many each has."""

    attempts: int
    first: Sequence[tuple[UUID, int]] = ()


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
        """Usage admitted in [start, end) whose latest posting was rated by an edition: behind
        `after` in the order of request, call and attempt. A request may be cut anywhere."""
        ...

    async def still_open(
        self,
        tenant_id: TenantId,
        start: datetime,
        end: datetime,
        version: int,
        model: str | None,
        limit: int,
    ) -> StillOpen:
        """Of requests admitted in [start, end) by an edition. One that may still begin a call
        counts as one attempt, also where a model is named: nobody knows yet which it will be.
        `limit` is of the requests that are named."""
        ...

    async def now(self) -> datetime:
        """By the database's clock, as admissions are."""
        ...

    async def archived_through(self) -> datetime | None:
        """The instant before which all is archived, and has no rows any more; None: nothing is."""
        ...

    async def correct(self, tenant_id: TenantId, fixes: Sequence[Fix]) -> Sequence[Fix]:
        """Posts reversal and adjustment for each, all in one transaction. One to which anything was
        posted since its `step` is passed over; returns those that it posted now."""
        ...
