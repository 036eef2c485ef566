"""Where budgets' periods will end, for an operator and for the alert on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Final

from tenantry.application.final_hours import first_hour, last_final
from tenantry.domain.alert import BudgetUse
from tenantry.domain.anomaly import FactSeries, facts_of, hour_of, instant_of
from tenantry.domain.budget import BASES, PERIODS, BudgetKey
from tenantry.domain.ids import TenantId
from tenantry.domain.pacing import Forecast, Past, forecast, past_of
from tenantry.ports.alerts import AlertBook, UsageHours

_WHOLES_MAX: Final = 1 + len(PERIODS) * len(BASES)  # the plan's and the tenant's own come first


@dataclass(frozen=True, slots=True)
class Outlook:
    """A budget in its running period, and what its end looks like. `forecast` None: the budget has
    no end, or too little is known.
    """

    use: BudgetUse
    forecast: Forecast | None

    @property
    def key(self) -> BudgetKey:
        return BudgetKey(self.use.subject, self.use.period, self.use.basis)


def past_of_use(series: FactSeries) -> Mapping[str, Past]:
    """A tenant's past by the basis of a budget."""
    return {
        "charge": past_of(series.start, series.usage.charges),
        "cost": past_of(series.start, series.costs),
    }


def outlook_of(
    use: BudgetUse, budgets: Sequence[BudgetUse], past: Mapping[str, Past], now: datetime
) -> Outlook:
    """The outlook of one of a tenant's budgets. An API key's, user's or run's goes on with the part
    of the tenant's use that it had in this period so far.
    """
    if use.ends_at is None or use.starts_at is None:
        return Outlook(use, None)
    share = _share(use, budgets, past[use.basis])
    if share is None:
        return Outlook(use, None)
    # The past is in USD, the budget in its limit's currency.
    share *= Fraction(use.rate)
    found = forecast(
        past[use.basis], now, use.ends_at, spent=use.settled, limit=use.limit, share=share
    )
    return Outlook(use, found)


def _share(use: BudgetUse, budgets: Sequence[BudgetUse], past: Past) -> Fraction | None:
    if use.subject in ("plan", "tenant"):
        return Fraction(1)
    whole = _spent_by_tenant(use, budgets, past)
    if not use.settled:
        return Fraction(0)
    return min(Fraction(1), Fraction(use.settled) / whole) if whole else None


def _spent_by_tenant(use: BudgetUse, budgets: Sequence[BudgetUse], past: Past) -> Fraction:
    """In the same period: by a balance where there is one, else by the hours."""
    for other in budgets:
        same = (other.basis, other.starts_at) == (use.basis, use.starts_at)
        if same and other.subject in ("plan", "tenant"):
            return Fraction(other.settled)
    assert use.starts_at is not None
    first = max(past.start, int(use.starts_at.timestamp()) // 3600)
    return past.of(first, past.end) * Fraction(use.rate) if first < past.end else Fraction(0)


async def outlooks(
    book: AlertBook,
    hours: UsageHours,
    tenant_id: TenantId,
    *,
    after: BudgetKey | None = None,
    limit: int = 100,
) -> list[Outlook]:
    """A page of the outlooks of a tenant's budgets whose period runs: the plan's, the tenant's own,
    the others."""
    now = await book.now()
    uses = await book.budget_uses(tenant_id, after=after, limit=limit)
    wholes = uses if after is None else await book.budget_uses(tenant_id, limit=_WHOLES_MAX)
    through = last_final(now)
    end = hour_of(through)
    facts = await hours.hours(tenant_id, instant_of(first_hour(end)), through)
    past = past_of_use(facts_of(facts, end))
    return [outlook_of(use, wholes, past, now) for use in uses]
