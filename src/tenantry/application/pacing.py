"""Where budgets' periods will end, for an operator and for the alert on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from tenantry.domain.alert import BudgetUse
from tenantry.domain.anomaly import FactSeries
from tenantry.domain.pacing import Forecast, Past, forecast, past_of


@dataclass(frozen=True, slots=True)
class Outlook:
    """A budget in its running period, and what its end looks like. `forecast` None: the budget has
    no end, or too little is known.
    """

    use: BudgetUse
    forecast: Forecast | None


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
    return past.of(first, past.end) if first < past.end else Fraction(Decimal(0))
