"""What a person reads of an alert: every kind has words, with the tenant's name and no id."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tenantry.domain.alert import (
    SEVERITIES,
    BudgetUse,
    NewAlert,
    Severity,
    pace_alert,
    refused_alert,
    soft_alert,
    threshold_alert,
)
from tenantry.domain.alert_notice import body_of
from tenantry.domain.ids import TenantId

AT = datetime(2026, 12, 1, tzinfo=UTC)
USE = BudgetUse(
    TenantId("tnt_acme"), "tenant", "month", "charge", AT, datetime(2027, 1, 1, tzinfo=UTC),
    Decimal("0.00124950"), True, Decimal("0.0009996"), Decimal(0), "USD",
)  # fmt: skip
RUN = replace(USE, subject="run:r-one", period="total", starts_at=None, ends_at=None)
PACE = pace_alert(USE, Decimal(3), Decimal(2), Decimal(4), datetime(2026, 12, 20, tzinfo=UTC))
OF_USAGE = NewAlert(
    TenantId("tnt_acme"), "usage.spike", "tenant", "2026-12-01T00", Severity.WARNING, AT, AT,
    Decimal(500_000), Decimal(10_000), "tokens", "USD", detail={"hours": 1},
)  # fmt: skip


@pytest.mark.parametrize(
    ("alert", "headline", "figures"),
    [
        (threshold_alert(USE, 80), "acme: 80 % of a month's budget",
         "0.0009996 of 0.0012495 USD settled"),
        (threshold_alert(RUN, 50), "acme, run r-one: 50 % of a budget without end",
         "0.0009996 of 0.0012495 USD settled"),
        (soft_alert(replace(USE, subject="plan"), Decimal("0.0005")),
         "acme, plan: the soft alert of a month's budget", "0.0009996 of 0.0005 USD settled"),
        (refused_alert(replace(USE, subject="api_key:key_1", period="day", basis="cost")),
         "acme, API key key_1: a day's budget in provider cost refuses requests",
         "0.0009996 of 0.0012495 USD settled"),
        (PACE, "acme: a month's budget will be passed on 2026-12-20",
         "0.0009996 of 0.0012495 USD settled"),
        (OF_USAGE, "acme: more tokens than usual in 1 h", "500000 tokens, usual 10000"),
    ],
)  # fmt: skip
def test_what_happened_is_said_with_the_tenants_name(
    alert: NewAlert, headline: str, figures: str
) -> None:
    body = body_of("alr_1", alert, "acme")
    assert (body["tenant"], body["tenant_name"]) == ("tnt_acme", "acme")
    assert body["headline"] == headline
    assert body["summary"] == f"{headline}, {figures}"


@pytest.mark.parametrize("kind", [kind for kind in SEVERITIES if kind.startswith("usage.")])
def test_every_kind_of_usage_has_words(kind: str) -> None:
    assert "acme: " in body_of("alr_1", replace(OF_USAGE, kind=kind), "acme")["summary"]
