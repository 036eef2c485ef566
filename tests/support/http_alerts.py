"""`ports.alerts.AlertBook` in memory: two tenants' alerts behind the HTTP edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tenantry.application.pacing import Outlook
from tenantry.domain.alert import Alert, BudgetUse, Severity
from tenantry.domain.budget import BudgetKey
from tenantry.domain.errors import NotFound
from tenantry.domain.ids import TenantId
from tenantry.domain.pacing import Forecast
from tenantry.ports.alerts import Mute

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def alert(number: int, tenant: str, kind: str) -> Alert:
    return Alert(
        id=f"alr_{number:026}",
        tenant_id=TenantId(f"tnt_{tenant}"),
        tenant_name=tenant,
        kind=kind,
        subject="tenant",
        severity=Severity.WARNING,
        starts_at=NOW,
        ends_at=NOW + timedelta(hours=1),
        observed=Decimal(900_000),
        expected=Decimal(100_000),
        unit="tokens",
        excess_tokens=800_000,
        excess_charge=Decimal("7.2"),
        currency="USD",
        detail={"hours": 1},
        raised_at=NOW + timedelta(hours=number),
        acknowledged_at=None,
    )


class MemoryAlerts:
    """Three alerts of acme, one of bolt."""

    def __init__(self) -> None:
        kinds = ("usage.spike", "usage.leak", "budget.threshold")
        self.stored = [alert(number, "acme", kind) for number, kind in enumerate(kinds)]
        self.stored.append(alert(3, "bolt", "usage.silence"))
        self.muted: list[Mute] = []
        self.outage: Exception | None = None

    async def alerts(
        self,
        *,
        tenant_id: TenantId | None = None,
        since: datetime | None = None,
        state: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        found = [
            one
            for one in reversed(self.stored)
            if (tenant_id in (None, one.tenant_id))
            and (since is None or one.raised_at >= since)
            and (state in (None, one.state))
            and (before is None or one.id < before)
        ]
        return found[:limit]

    async def acknowledge(self, alert_id: str) -> Alert:
        for place, one in enumerate(self.stored):
            if one.id == alert_id:
                at = one.acknowledged_at or NOW
                self.stored[place] = replace(one, acknowledged_at=at)
                return self.stored[place]
        raise NotFound("There is no such alert.")

    async def mute(
        self, tenant_id: TenantId, starts_at: datetime, ends_at: datetime, reason: str
    ) -> Mute:
        made = Mute(f"mut_{len(self.muted):026}", tenant_id, starts_at, ends_at, reason, NOW)
        self.muted.append(made)
        return made

    async def mutes(
        self, tenant_id: TenantId, *, after: tuple[datetime, str] | None = None, limit: int = 100
    ) -> list[Mute]:
        found = [one for one in self.muted if one.tenant_id == tenant_id]
        found.sort(key=lambda one: (one.starts_at, one.id), reverse=True)
        return [one for one in found if after is None or (one.starts_at, one.id) < after][:limit]

    async def unmute(self, tenant_id: TenantId, mute_id: str) -> None:
        kept = [one for one in self.muted if (one.tenant_id, one.id) != (tenant_id, mute_id)]
        if len(kept) == len(self.muted):
            raise NotFound("There is no such mute.")
        self.muted = kept

    async def budget_uses(
        self, tenant_id: TenantId, *, after: BudgetKey | None = None, limit: int = 100
    ) -> list[BudgetUse]:
        return []

    async def now(self) -> datetime:
        return NOW

    async def counts(self) -> Mapping[tuple[str, str], int]:
        if self.outage is not None:
            raise self.outage
        return {("usage.spike", "warning"): 1}


async def fixed_outlooks(
    tenant_id: TenantId, after: BudgetKey | None, limit: int
) -> Sequence[Outlook]:
    use = BudgetUse(
        tenant_id, "plan", "month", "charge", NOW - timedelta(days=19), NOW + timedelta(days=11),
        Decimal(5), True, Decimal("3.1"), Decimal(0), "USD",
    )  # fmt: skip
    forecast = Forecast(
        Decimal("5.5"), Decimal("4.9"), Decimal("6.2"), NOW + timedelta(days=9), "weeks"
    )
    return [Outlook(use, forecast)]
