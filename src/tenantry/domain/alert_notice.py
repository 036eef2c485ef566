"""What the receivers of an alert read: a body for programs, a headline and a summary for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantry.domain import money
from tenantry.domain.alert import (
    OF_TENANT,
    PACE,
    REFUSED,
    SOFT_ALERT,
    THRESHOLD,
    NewAlert,
    instant_text,
)

_BUDGETS: Final[Mapping[str, str]] = {
    "day": "a day's budget",
    "month": "a month's budget",
    "total": "a budget without end",
}
_MORE: Final = "more tokens than usual"
_UNUSUAL: Final[Mapping[str, str]] = {
    "usage.spike": _MORE,
    "usage.surge": _MORE,
    "usage.step": _MORE,
    "usage.leak": _MORE,
    "usage.silence": "no request",
    "usage.request_size": "larger requests than usual",
    "usage.cache_hits": "less input from the cache than usual",
    "usage.throttled": "more throttled attempts than usual",
}


def body_of(alert_id: str, alert: NewAlert, tenant_name: str) -> dict[str, Any]:
    """The notice's `data`; money and figures are decimals in strings."""
    excess = alert.excess_charge
    headline = headline_of(alert, tenant_name)
    return {
        "alert_id": alert_id,
        "tenant": alert.tenant_id,
        "tenant_name": tenant_name,
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": str(alert.severity),
        "starts_at": instant_text(alert.starts_at),
        "ends_at": instant_text(alert.ends_at),
        "observed": money.plain(alert.observed),
        "expected": money.plain(alert.expected),
        "unit": alert.unit,
        "excess_tokens": alert.excess_tokens,
        "excess_charge": None if excess is None else money.plain(excess),
        "currency": alert.currency,
        **alert.detail,
        "headline": headline,
        "summary": f"{headline}, {_figures_of(alert)}",
    }


def headline_of(alert: NewAlert, tenant_name: str) -> str:
    """Whose it is and what happened, without amounts: `acme, run nightly: a budget without end
    refuses requests`."""
    return f"{_whose(alert, tenant_name)}: {_what(alert)}"


def _whose(alert: NewAlert, tenant_name: str) -> str:
    if alert.subject == OF_TENANT:
        return tenant_name
    scope, _, name = alert.subject.partition(":")
    return f"{tenant_name}, {scope.replace('api_key', 'API key')} {name}".rstrip()


def _what(alert: NewAlert) -> str:
    detail = alert.detail
    if not alert.kind.startswith("budget."):
        return f"{_UNUSUAL[alert.kind]} in {detail['hours']} h"
    budget = _BUDGETS[detail["period"]]
    if detail["basis"] == "cost":
        budget += " in provider cost"
    if alert.kind == THRESHOLD:
        return f"{detail['threshold_percent']} % of {budget}"
    if alert.kind == SOFT_ALERT:
        return f"the soft alert of {budget}"
    if alert.kind == REFUSED:
        return f"{budget} refuses requests"
    assert alert.kind == PACE, "every kind of alert on a budget has its words"
    return f"{budget} will be passed on {detail['passes_on']}"


def _figures_of(alert: NewAlert) -> str:
    observed, expected = money.plain(alert.observed), money.plain(alert.expected)
    if alert.kind.startswith("budget."):
        return f"{observed} of {expected} {alert.unit} settled"
    return f"{observed} {alert.unit.replace('_', ' ')}, usual {expected}"
