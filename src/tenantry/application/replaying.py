"""What the detector would have told of the hours that a deployment has behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tenantry.application.final_hours import first_hour, last_final
from tenantry.application.pages import PAGE, living_tenants, to_the_end
from tenantry.domain.anomaly import (
    HOUR_S,
    Noticed,
    PlannedEvent,
    Settings,
    alerts_of,
    facts_of,
    hour_of,
    instant_of,
)
from tenantry.domain.ids import TenantId
from tenantry.ports.alerts import AlertBook, Mute, UsageHours
from tenantry.ports.control import ControlPlane


async def replayed(
    control: ControlPlane,
    book: AlertBook,
    hours: UsageHours,
    now: datetime,
    settings: Settings,
    planned: Mapping[str, Sequence[PlannedEvent]],
) -> list[tuple[str, Noticed]]:
    """By each tenant's name, over the twelve weeks that the detector looks back on; what was muted
    is announced, and so is `planned`, by id or name. Nothing is raised or told.
    """
    through = last_final(now)
    end = hour_of(through)
    start = instant_of(first_hour(end))
    found: list[tuple[str, Noticed]] = []
    async for tenant in living_tenants(control):
        facts = await hours.hours(tenant.id, start, through)
        known = [*planned.get(tenant.name, ()), *planned.get(tenant.id, ())]
        known += [_event(mute) for mute in await _mutes(book, tenant.id)]
        series = facts_of(facts, end).usage
        found += [(tenant.name, alert) for alert in alerts_of(series, settings, planned=known)]
    return found


async def _mutes(book: AlertBook, tenant_id: TenantId) -> list[Mute]:
    return await to_the_end(
        lambda after: book.mutes(tenant_id, after=after, limit=PAGE),
        lambda mute: (mute.starts_at, mute.id),
    )


def _event(mute: Mute) -> PlannedEvent:
    """Every hour that it touches."""
    start, end = int(mute.starts_at.timestamp()), int(mute.ends_at.timestamp())
    return PlannedEvent(start // HOUR_S, -(-end // HOUR_S))
