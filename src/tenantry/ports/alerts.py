"""Alerts, the hours that they are found in, and the budgets that they are about.

Owns: the words. Raising is idempotent: an alert that was there before, whoever raised it, is
neither stored nor told again, and one that is stored is told, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tenantry.domain.alert import Alert, BudgetUse, NewAlert
from tenantry.domain.anomaly import HourFacts, PlannedEvent
from tenantry.domain.budget import BudgetKey
from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Refused


@dataclass(frozen=True, slots=True)
class Watched:
    """What a tenant's hours are judged with. Hours count from 1970."""

    tenant_id: TenantId
    active: bool
    currency: str
    judged_through: int | None  # hours before it have been judged; None: none has
    planned: Sequence[PlannedEvent]
    told: Sequence[tuple[str, int]]  # kind and last hour of alerts on usage, raised lately
    budgets: Sequence[BudgetUse]  # of the periods that run


@dataclass(frozen=True, slots=True)
class Mute:
    """A tenant's announced use, [starts_at, ends_at)."""

    id: str
    tenant_id: TenantId
    starts_at: datetime
    ends_at: datetime
    reason: str
    muted_at: datetime


class BudgetAlerts(Protocol):
    """What the worker reads of balances. Never on the way of a request."""

    async def moved_tenants(self, after: str, limit: int, *, all_of_them: bool) -> list[TenantId]:
        """Tenants by id after one, whose balances may have moved lately."""
        ...

    async def raise_crossed(self, tenants: Sequence[TenantId], limit: int) -> int:
        """Raises what their budgets' shares make due, at most `limit`; returns how many."""
        ...


class RefusedBudgets(Protocol):
    """What a gateway tells of."""

    async def raise_refused(self, tenant_id: TenantId, refused: Refused) -> bool:
        """A hard budget has refused a request: tells of the limit and the period that did, whatever
        they are by now. False: that was told, or there is no such budget any more, or it is soft
        now.
        """
        ...


class UsageHours(Protocol):
    """The ledger by hour of admission: the one place where alerts read usage."""

    async def hours(
        self, tenant_id: TenantId, start: datetime, through: datetime
    ) -> Sequence[HourFacts]:
        """A tenant's hours in [start, through) that hold anything, in order. Both are whole hours
        and past; what settles later than a few days after is not in them.
        """
        ...


class UsageWatch(Protocol):
    """Who is judged when, so that each hour is judged once."""

    async def now(self) -> datetime:
        """The database's time, by which requests are admitted: a worker's own clock may be wrong,
        and an hour that is not over looks silent.
        """
        ...

    async def due(self, through: datetime, after: str, limit: int) -> list[TenantId]:
        """Tenants by id after one, of which hours before `through` have not been judged."""
        ...

    async def pass_idle(
        self, tenants: Sequence[TenantId], since: datetime, through: datetime
    ) -> Collection[TenantId]:
        """Counts hours before `through` as summed and judged, in one transaction, for those of
        which no hour is known and neither book has anything since `since`, where histories begin:
        there is nothing to judge. Returns them, without those that another worker holds. `tenants`
        are due.
        """
        ...

    async def judged(
        self, tenant_id: TenantId, through: datetime, judge: Callable[[Watched], Sequence[NewAlert]]
    ) -> int:
        """Judges a tenant up to `through` and raises what `judge` finds, in one transaction; does
        nothing where another worker does or did. `judge` is pure and runs in a thread: what it
        computes keeps no other round waiting. Returns how many were raised.
        """
        ...


class AlertBook(Protocol):
    """What an operator does with alerts."""

    async def now(self) -> datetime:
        """The database's time."""
        ...

    async def alerts(
        self,
        *,
        tenant_id: TenantId | None = None,
        since: datetime | None = None,
        state: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        """Newest first; `before` is the id that the page before ended with."""
        ...

    async def acknowledge(self, alert_id: str) -> Alert:
        """Says that someone has seen to it; a second time changes nothing. Raises `NotFound`."""
        ...

    async def mute(
        self, tenant_id: TenantId, starts_at: datetime, ends_at: datetime, reason: str
    ) -> Mute: ...

    async def mutes(
        self, tenant_id: TenantId, *, after: tuple[datetime, str] | None = None, limit: int = 100
    ) -> list[Mute]:
        """Of a tenant, latest start first; `after`: `starts_at` and `id` of one."""
        ...

    async def unmute(self, tenant_id: TenantId, mute_id: str) -> None:
        """Raises `NotFound`."""
        ...

    async def budget_uses(
        self, tenant_id: TenantId, *, after: BudgetKey | None = None, limit: int = 100
    ) -> list[BudgetUse]:
        """Of the periods that run: the plan's budget, the tenant's own, the others."""
        ...

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many alerts were ever raised by kind and severity; never less than before."""
        ...
