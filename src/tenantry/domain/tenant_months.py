"""From the months of the ledger's two books to what advice on a tenant rests on. Pure.

Months are calendar months in UTC: an account is chosen for the product, not for one tenant's
billing period. The running month is forecast in proportion to the time that has passed, after a
few days of it; before, it is taken to repeat the last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

from tenantry.domain import money
from tenantry.domain.advice import Standing

MONTHS_MAX = 36  # that are looked at, the running one too
FORECAST_AFTER = timedelta(days=3)
USD = "USD"


@dataclass(frozen=True, slots=True)
class TenantMonth:
    """One tenant's calendar month (UTC)."""

    tenant_id: str
    tenant: str
    month: date  # its first day
    cost: Decimal  # all of the provider's book, waste too, in USD
    charges: Decimal  # list charges
    currency: str  # of the charges; empty where they are in several
    silo: bool  # whether it has an account of its own now


def first_month(now: datetime) -> datetime:
    """From when on months are looked at."""
    month = _number(now.astimezone(UTC).date()) - MONTHS_MAX + 1
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def standings_of(
    months: Sequence[TenantMonth],
    now: datetime,
    compliance: Collection[str],
    usd_per: Mapping[str, Decimal],
) -> dict[str, Standing]:
    """By tenant's name. `months` in order of tenant and month; `compliance`: names or ids of those
    that must have an account of their own. What the ledger does not know stays unknown."""
    found = {}
    for _, rows in groupby(months, key=lambda row: row.tenant_id):
        of_one = list(rows)
        found[of_one[0].tenant] = _standing(of_one, now.astimezone(UTC), compliance, usd_per)
    return found


def _standing(
    rows: Sequence[TenantMonth],
    now: datetime,
    compliance: Collection[str],
    usd_per: Mapping[str, Decimal],
) -> Standing:
    running = _number(now.date())
    by_month = {_number(row.month): row for row in rows if _number(row.month) <= running}
    closed = [month for month in by_month if month < running]
    costs = tuple(
        by_month[month].cost if month in by_month else money.ZERO
        for month in range(min(closed, default=running), running)
    )
    last = by_month.get(running - 1)
    return Standing(
        costs,
        forecast=_forecast(by_month.get(running), now),
        contribution=None if last is None else _contribution(last, usd_per),
        compliance=rows[0].tenant in compliance or rows[0].tenant_id in compliance,
        quota_share=None,
        throttles_caused=None,
    )


def _forecast(running: TenantMonth | None, now: datetime) -> Decimal | None:
    start = datetime(now.year, now.month, 1, tzinfo=UTC)
    passed = now - start
    if passed < FORECAST_AFTER:
        return None
    if running is None:
        return money.ZERO
    month = _number(now.date()) + 1
    whole = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) - start
    second = timedelta(seconds=1)
    expected = Fraction(running.cost) * Fraction(whole // second, passed // second)
    cents = Decimal(int(expected * 100 + Fraction(1, 2)))
    return money.shifted(cents, -2)


def _contribution(last: TenantMonth, usd_per: Mapping[str, Decimal]) -> Decimal | None:
    """Charges less cost, of the last closed month; None where their currency has no rate."""
    rate = Decimal(1) if last.currency == USD else usd_per.get(last.currency)
    if rate is None:
        return None
    return money.less(money.times(last.charges, rate), last.cost)


def _number(day: date) -> int:
    return day.year * 12 + day.month - 1
