"""Weeks of a tenant's hours, put where the detector reads them, before a real ledger's hour."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
from tests.support.ledger import World

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.adapters.postgres.usage_hours import PostgresUsageHours
from tenantry.application.final_hours import SETTLING
from tenantry.application.usage_watch import watch_usage
from tenantry.domain.ids import TenantId
from tenantry.domain.tenant import Principal

MARGIN = timedelta(seconds=30)  # longer than a test takes
TOKEN_CHARGE = Decimal("0.000009")
_COLUMNS = (
    "requests",
    "tokens",
    "input_tokens",
    "cache_read_tokens",
    "throttled",
    "charge",
    "cost",
)


def this_hour() -> datetime:
    """The hour in which the ledger posts now; one that is about to end is waited out."""
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    left = hour + timedelta(hours=1) - now
    if left > MARGIN:
        return hour
    time.sleep(left.total_seconds() + 0.1)
    return hour + timedelta(hours=1)


def when_final(hour: datetime) -> datetime:
    """An instant at which the hour is judged, and no later one."""
    return hour + timedelta(hours=1) + SETTLING


def flat(requests: int = 100, size: int = 1_000) -> Callable[[int], dict[str, Any]]:
    """The same every hour but for a little wobble; `ago` counts hours back from now."""

    def of(ago: int) -> dict[str, Any]:
        asked = requests + ago * 7 % 11
        return {"requests": asked, "tokens": asked * size, "input_tokens": asked * size}

    return of


async def past(
    world: World,
    who: Principal,
    of: Callable[[int], Mapping[str, Any]],
    hours: int = 6 * 168,
    *,
    judged: bool = True,
) -> None:
    """Makes the `hours` hours before this one a tenant's past, judged up to this hour."""
    rows = []
    for ago in range(1, hours + 1):
        given = dict(of(ago))
        charge = Decimal(given.get("tokens", 0)) * TOKEN_CHARGE
        values = {"charge": charge, "cost": charge / 4, **given}
        at = this_hour() - timedelta(hours=ago)
        rows.append((who.tenant_id, at, *(values.get(name, 0) for name in _COLUMNS)))
    connection = await asyncpg.connect(world.database.dsn("superuser"))
    try:
        await connection.copy_records_to_table(
            "watched_hour",
            schema_name="tenantry",
            records=rows,
            columns=("tenant_id", "hour", *_COLUMNS),
        )
        await connection.execute(
            "INSERT INTO tenantry.usage_watch VALUES ($1, $2, $3)",
            who.tenant_id,
            this_hour(),
            this_hour() if judged else None,
        )
    finally:
        await connection.close()


def alerts_in(world: World) -> PostgresAlerts:
    return PostgresAlerts(world.databases.control, SystemClock())


def hours_in(world: World) -> PostgresUsageHours:
    return PostgresUsageHours(world.databases.control)


async def watch(world: World, hours_on: int = 0) -> int:
    """One round, when this hour, or one so many later, has become final."""
    now = when_final(this_hour() + timedelta(hours=hours_on))
    return await watch_usage(alerts_in(world), hours_in(world), now)


async def told(world: World, who: Principal) -> list[str]:
    """The kinds of a tenant's alerts, in the order they were raised."""
    rows = await alerts_in(world).alerts(tenant_id=TenantId(who.tenant_id))
    return [row.kind for row in reversed(rows)]
