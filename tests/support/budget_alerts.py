"""Budgets that are set, spent and told of, in a world with two tenants."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.ledger import World

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.application.budget_alerts import alert_budgets
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.control import Budget

USED = Usage(uncached_in=1_000, out=500)  # cost .0105, charge .0315
CHARGE = Decimal("0.0315")


def alerts_in(world: World) -> PostgresAlerts:
    return PostgresAlerts(world.databases.control, SystemClock())


async def round_of(world: World, *, all_of_them: bool = False) -> int:
    return await alert_budgets(alerts_in(world), all_of_them=all_of_them)


async def budget(world: World, limit: str, who: Principal | None = None, **changes: Any) -> None:
    who = who or world.anna
    values: dict[str, Any] = {
        "tenant_id": who.tenant_id,
        "scope": "tenant",
        "scope_id": who.tenant_id,
        "period": "month",
        "basis": "charge",
        "limit": Decimal(limit),
        "hard": False,
    }
    await world.control.set_budget(Budget(**{**values, **changes}))


async def spend(world: World, times: int = 1, who: Principal | None = None, **of: Any) -> None:
    for _ in range(times):
        await world.settle(await world.admitted(who, **of), world.outcome(USED))


async def told(world: World, who: Principal | None = None) -> list[tuple[str, int]]:
    """(subject, per cent) in the order they were raised."""
    rows = await alerts_in(world).alerts(tenant_id=(who or world.anna).tenant_id)
    return [(row.subject, row.detail.get("threshold_percent", 0)) for row in reversed(rows)]


async def notices(world: World) -> list[Any]:
    return await world.fetch(
        "SELECT tenant_id, kind, once_key, body FROM notice ORDER BY created_at"
    )


async def day_is_over(world: World) -> None:
    """What is counted of today is yesterday's, as its contracts are; the ledger stays as it is."""
    await world.as_superuser(
        "SET session_replication_role = replica;"  # they are never edited
        " UPDATE tenantry.contract SET entered_at = entered_at - interval '1 day'"
    )
    await world.as_superuser(
        "UPDATE tenantry.budget_use SET period_start = period_start - interval '1 day',"
        " period_end = period_end - interval '1 day' WHERE period = 'day'"
    )
    await world.as_superuser("UPDATE tenantry.counter SET day_end = day_start, day = day - 1")
