"""Alerts: what an operator shall hear of, each exactly once.

Owns: the word, what makes two alerts the same, and at which shares of a budget one is due. Does
not own: what their receivers read (`alert_notice.py`), when usage is unusual (`anomaly/`), where a
month will end (`pacing.py`), delivery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from tenantry.domain import money
from tenantry.domain.ids import TenantId

THRESHOLDS: Final = (50, 80, 100)  # per cent of a budget's limit that is settled
THRESHOLD: Final = "budget.threshold"
SOFT_ALERT: Final = "budget.soft_alert"
PACE: Final = "budget.pace"
REFUSED: Final = "budget.refused"
OF_TENANT: Final = "tenant"  # the subject of an alert on all of a tenant's usage


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


_WARNING: Final = (Severity.WARNING,)
_RUNAWAY: Final = (Severity.WARNING, Severity.CRITICAL)
# Every kind with the severities that it can have.
SEVERITIES: Final[Mapping[str, tuple[Severity, ...]]] = {
    THRESHOLD: tuple(Severity),
    SOFT_ALERT: _WARNING,
    REFUSED: (Severity.CRITICAL,),
    PACE: _WARNING,
    "usage.spike": _RUNAWAY,
    "usage.surge": _RUNAWAY,
    "usage.step": _RUNAWAY,
    "usage.leak": _RUNAWAY,
    "usage.silence": _WARNING,
    "usage.request_size": _RUNAWAY,
    "usage.cache_hits": _WARNING,
    "usage.throttled": _WARNING,
}


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert that may have been raised before: a second one of the same tenant, kind, subject
    and `once_key` is none.

    `observed` and `expected` are in `unit`. `for_operator`: it tells what a tenant may not see,
    such as provider cost.
    """

    tenant_id: TenantId
    kind: str
    subject: str
    once_key: str
    severity: Severity
    starts_at: datetime | None
    ends_at: datetime | None
    observed: Decimal
    expected: Decimal
    unit: str
    currency: str
    excess_tokens: int | None = None
    excess_charge: Decimal | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    for_operator: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that was raised. `state` is `open` or `acknowledged`."""

    id: str
    tenant_id: TenantId
    tenant_name: str
    kind: str
    subject: str
    severity: Severity
    starts_at: datetime | None
    ends_at: datetime | None
    observed: Decimal
    expected: Decimal
    unit: str
    excess_tokens: int | None
    excess_charge: Decimal | None
    currency: str
    detail: Mapping[str, Any]
    raised_at: datetime
    acknowledged_at: datetime | None

    @property
    def state(self) -> str:
        return "open" if self.acknowledged_at is None else "acknowledged"


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """A budget in one of its periods. `limit` None: it has none; `starts_at` None: it has no end.

    Money is in the limit's currency: that of the contract, where the basis is the charge.

    `share` is that of what the tenant's subject settled, of `settled` alone: what is reserved for
    the worst case mostly comes back.
    """

    tenant_id: TenantId
    subject: str  # plan, tenant, api_key:…, user:…, run:…
    period: str
    basis: str
    starts_at: datetime | None
    ends_at: datetime | None
    limit: Decimal | None
    hard: bool
    settled: Decimal
    reserved: Decimal
    currency: str  # of the contract; cost is in USD
    rate: Decimal = Decimal(1)  # what 1 USD of list charge is in the limit's currency

    @property
    def unit(self) -> str:
        return "USD" if self.basis == "cost" else self.currency

    @property
    def key(self) -> str:
        """Which budget and period, whatever its limit is by now: how an alert's key begins."""
        return f"{self.period} {self.basis} {instant_text(self.starts_at) or 'ever'}"

    def key_of(self, amount: Decimal, percent: int | None = None) -> str:
        """The key of an alert on an amount, in the currency that it is of, or on a share of it."""
        share = "" if percent is None else f" {percent}"
        return f"{self.key}{share} {money.plain(amount)} {self.unit}"


def threshold_alert(use: BudgetUse, percent: int) -> NewAlert:
    """A budget has settled `percent` of its limit or more."""
    assert use.limit is not None, "a budget without a limit has no shares"
    severity = {50: Severity.INFO, 80: Severity.WARNING}.get(percent, Severity.CRITICAL)
    detail = {**_detail(use), "threshold_percent": percent}
    once_key = use.key_of(use.limit, percent)
    return _of_budget(use, THRESHOLD, once_key, severity, use.limit, detail)


def soft_alert(use: BudgetUse, at: Decimal) -> NewAlert:
    """The amount at which a plan wants to be told has been settled."""
    detail = {**_detail(use), "soft_alert_at": money.plain(at)}
    once_key = use.key_of(at)
    return _of_budget(use, SOFT_ALERT, once_key, Severity.WARNING, at, detail)


def refused_alert(use: BudgetUse) -> NewAlert:
    """A hard budget has refused a request that might have passed it."""
    limit = money.ZERO if use.limit is None else use.limit
    once_key = use.key_of(limit)
    return _of_budget(use, REFUSED, once_key, Severity.CRITICAL, limit, _detail(use))


def pace_alert(
    use: BudgetUse, forecast: Decimal, low: Decimal, high: Decimal, passes_at: datetime
) -> NewAlert:
    """A budget is forecast to pass its limit before its period ends."""
    assert use.limit is not None, "a budget without a limit cannot be passed"
    detail = {
        **_detail(use),
        "forecast": money.plain(forecast),
        "low": money.plain(low),
        "high": money.plain(high),
        "passes_on": f"{passes_at.astimezone(UTC):%Y-%m-%d}",
    }
    once_key = use.key_of(use.limit)
    return _of_budget(use, PACE, once_key, Severity.WARNING, use.limit, detail)


def _of_budget(
    use: BudgetUse,
    kind: str,
    once_key: str,
    severity: Severity,
    expected: Decimal,
    detail: Mapping[str, Any],
) -> NewAlert:
    return NewAlert(
        tenant_id=use.tenant_id,
        kind=kind,
        subject=use.subject,
        once_key=once_key,
        severity=severity,
        starts_at=use.starts_at,
        ends_at=use.ends_at,
        observed=use.settled,
        expected=expected,
        unit=use.unit,
        currency=use.currency,
        detail=detail,
        for_operator=use.basis == "cost",
    )


def _detail(use: BudgetUse) -> dict[str, Any]:
    limit = None if use.limit is None else money.plain(use.limit)
    return {"period": use.period, "basis": use.basis, "limit": limit, "hard": use.hard}


def instant_text(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
