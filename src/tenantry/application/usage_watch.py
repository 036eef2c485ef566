"""Watches every tenant's hours: what is unusual, and which budget its month will pass.

1. An hour is judged when it is final (`final_hours.py`).
2. A tenant at a time, and each up to an hour once: its progress moves in the transaction that
   raises its alerts, so a worker that dies, or a second one, tells nothing twice.
3. Settlements that come late change hours; for `LATE_H` they are judged again, and what they show
   is told unless the same episode was.
4. Tenants of whom nothing is known pass an hour together: they have nothing to be judged by.
5. A deployment that starts with a past is told of its last day, not of all its history.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from tenantry.application.final_hours import first_hour, last_final
from tenantry.application.pacing import outlook_of, past_of_use
from tenantry.domain import money
from tenantry.domain.alert import OF_TENANT, BudgetUse, NewAlert, Severity, pace_alert
from tenantry.domain.anomaly import (
    FactSeries,
    Finding,
    Settings,
    facts_of,
    hour_of,
    instant_of,
    unusual,
)
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.pacing import Past, most_by_weeks
from tenantry.ports.alerts import UsageHours, UsageWatch, Watched

LATE_H = 75
FIRST_H = 24
STALE_H = 7 * 24  # what a worker that was away for longer finds is no news any more
TENANTS_PAGE = 200
PAGES_MAX = 10_000
CRITICAL_TIMES = 5  # normal
FIGURE_STEP = Decimal("0.0001")  # of statistics
CHARGE_STEP = Decimal("0.000001")  # of an excess, which is an estimate
_log = logging.getLogger(__name__)


async def watch_usage(
    watch: UsageWatch, hours: UsageHours, now: datetime, settings: Settings | None = None
) -> int:
    """One round over all tenants with hours that were not judged. Returns how many alerts were
    raised. A tenant whose hours cannot be judged is logged, and tried again with the next round.
    """
    through, after, raised = last_final(now), "", 0
    since = instant_of(first_hour(hour_of(through)))
    for _ in range(PAGES_MAX):
        page = await watch.due(through, after, TENANTS_PAGE)
        idle = await watch.pass_idle(page, since, through) if page else ()
        for tenant_id in page:
            if tenant_id in idle:
                continue
            try:
                raised += await _watch_tenant(watch, hours, tenant_id, now, settings or Settings())
            except Unavailable:
                raise
            except Exception:
                # A fault of ours with one tenant's hours must not silence all the others.
                _log.exception("the hours of %s were not judged", tenant_id)
        if not page:
            break
        after = page[-1]
    return raised


async def _watch_tenant(
    watch: UsageWatch,
    hours: UsageHours,
    tenant_id: TenantId,
    now: datetime,
    settings: Settings,
) -> int:
    through = last_final(now)
    end = hour_of(through)
    facts = await hours.hours(tenant_id, instant_of(first_hour(end)), through)
    series = facts_of(facts, end)

    def judge(watched: Watched) -> Sequence[NewAlert]:
        return [
            *usage_alerts(watched, series, end, settings),
            *pace_alerts(watched.budgets, series, now),
        ]

    return await watch.judged(tenant_id, through, judge)


def usage_alerts(
    watched: Watched, series: FactSeries, end: int, settings: Settings
) -> list[NewAlert]:
    """What is unusual in a tenant's hours before `end` and was not told."""
    if watched.judged_through is None:
        since = end - FIRST_H
    else:
        since = max(watched.judged_through - LATE_H, end - STALE_H)
    found = unusual(series, since, settings, planned=watched.planned)
    told = list(watched.told)
    alerts = []
    for finding in found:
        kind = f"usage.{finding.kind}"
        if finding.kind == "silence" and not watched.active:
            continue  # who is suspended cannot ask
        if _was_told(told, kind, finding.hour, settings.cool_down_h):
            continue
        told.append((kind, finding.hour))
        alerts.append(_to_alert(watched, series, kind, finding))
    return alerts


def pace_alerts(budgets: Sequence[BudgetUse], series: FactSeries, now: datetime) -> list[NewAlert]:
    """The budgets of a month that are forecast to pass their limit and have not passed it."""
    alerts = []
    months = [use for use in budgets if use.period == "month" and use.limit]
    past = past_of_use(series) if months else None
    for use in months:
        assert past is not None
        if not _can_pass(use, past[use.basis], now):
            continue
        found = outlook_of(use, budgets, past, now).forecast
        if found is None or found.passes_at is None:
            continue
        if (
            found.based_on == "weeks"
        ):  # of a tenant's first days too little is known to wake someone
            alerts.append(pace_alert(use, found.expected, found.low, found.high, found.passes_at))
    return alerts


def _can_pass(use: BudgetUse, past: Past, now: datetime) -> bool:
    """Whether its forecast could: most budgets of many are far from their limits, and to forecast
    each of them every hour is what costs."""
    assert use.limit is not None
    if use.ends_at is None or use.settled >= use.limit:
        return False
    most = Fraction(use.settled) + most_by_weeks(past, now, use.ends_at) * Fraction(use.rate)
    return most > use.limit


_VOLUME = frozenset({"usage.spike", "usage.surge", "usage.step"})


def _was_told(told: Sequence[tuple[str, int]], kind: str, hour: int, cool_down_h: int) -> bool:
    """Whether an alert of the same kind of episode was raised near that hour, on either side: a
    late settlement can move where an episode seems to begin.
    """
    same = _VOLUME if kind in _VOLUME else frozenset({kind})
    return any(known in same and abs(hour - at) <= cool_down_h for known, at in told)


def _to_alert(watched: Watched, series: FactSeries, kind: str, finding: Finding) -> NewAlert:
    starts_at = instant_of(finding.hour + 1 - finding.hours)
    return NewAlert(
        tenant_id=watched.tenant_id,
        kind=kind,
        subject=OF_TENANT,
        once_key=f"{instant_of(finding.hour):%Y-%m-%dT%H}",
        severity=_severity(finding),
        starts_at=starts_at,
        ends_at=instant_of(finding.hour + 1),
        observed=_figure(finding.observed),
        expected=_figure(finding.expected),
        unit=str(finding.unit),
        currency=watched.currency,
        excess_tokens=finding.excess_tokens,
        excess_charge=_excess_charge(series, finding),
        detail={"hours": finding.hours},
    )


def _severity(finding: Finding) -> Severity:
    runaway = finding.excess_tokens is not None and finding.kind != "cache_hits"
    if runaway and finding.observed >= CRITICAL_TIMES * finding.expected:
        return Severity.CRITICAL
    return Severity.WARNING


def _figure(value: float) -> Decimal:
    return money.rounded(Decimal(value), FIGURE_STEP)


def _excess_charge(series: FactSeries, finding: Finding) -> Decimal | None:
    """The excess tokens' share of what the window was charged; None where it is no usage."""
    if finding.excess_tokens is None or finding.kind == "cache_hits":
        return None
    at = finding.hour - series.start
    used = sum(series.usage.tokens[max(0, at + 1 - finding.hours) : at + 1])
    if not used:
        return None
    charge = series.usage.charge_of(at, finding.hours)
    share = money.times(charge, Decimal(finding.excess_tokens))
    return money.rounded(money.ratio(share, Decimal(used)), CHARGE_STEP)
