"""`ports.alerts.BudgetAlerts`, `UsageWatch`, `AlertBook`: alerts with their notices, as control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tenantry.adapters.postgres.outbox import enqueue
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.usage_hours import CLOCK_WRONG, lowest_id
from tenantry.domain.alert import (
    THRESHOLDS,
    Alert,
    BudgetUse,
    NewAlert,
    Severity,
    refused_alert,
    soft_alert,
    threshold_alert,
)
from tenantry.domain.alert_notice import body_of
from tenantry.domain.anomaly import HOUR_S, PlannedEvent, hour_of
from tenantry.domain.budget import BudgetKey
from tenantry.domain.errors import NotFound
from tenantry.domain.ids import TenantId, check_cursor, prefixed, uuid7
from tenantry.ports.admission import Refused
from tenantry.ports.alerts import Mute, Watched
from tenantry.ports.clock import Clock
from tenantry.ports.outbox import PLATFORM, Notice

# An attempt lasts at most 15 minutes by default; what settles later is seen when all are looked at.
MOVED_WITHIN = timedelta(minutes=30)
SETTLES_WITHIN = timedelta(days=4)  # after the end of a period: holds last 3 days
HISTORY = timedelta(weeks=13)  # of mutes: as long as hours are judged with
TOLD = timedelta(days=14)  # longer than a finding may be told late
PAGE_MAX = 1_000


class PostgresAlerts(Pooled):
    """Acts through `control_pool`; the clock makes ids, which sort by time."""

    def __init__(self, control_pool: Any, clock: Clock) -> None:
        super().__init__(control_pool, "sql/alerts.sql")
        self._clock = clock
        self._last_ms = 0

    async def moved_tenants(self, after: str, limit: int, *, all_of_them: bool) -> list[TenantId]:
        async with self._transaction() as connection:
            rows = await connection.fetch(
                self._sql["moved_tenants"], after, MOVED_WITHIN, limit, all_of_them
            )
        return [TenantId(row["tenant_id"]) for row in rows]

    async def raise_crossed(self, tenants: Sequence[TenantId], limit: int) -> int:
        async with self._transaction() as connection:
            rows = await connection.fetch(
                self._sql["crossed"], list(tenants), SETTLES_WITHIN, limit, list(THRESHOLDS)
            )
            return await self._raise(connection, [_to_crossed(row) for row in rows])

    async def raise_refused(self, tenant_id: TenantId, refused: Refused) -> bool:
        budget = refused.budget
        if budget is None:
            return False
        place = (*refused.limit.rsplit(" ", 2), refused.resets_at)
        then = (budget.limit, budget.rate, budget.unit)
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["refused_use"], tenant_id, *place, *then)
            alerts = [refused_alert(_to_budget_use(row)) for row in rows]
            return await self._raise(connection, alerts) > 0

    async def due(self, through: datetime, after: str, limit: int) -> list[TenantId]:
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["due"], through, after, limit)
        return [TenantId(row["tenant_id"]) for row in rows]

    async def pass_idle(
        self, tenants: Sequence[TenantId], since: datetime, through: datetime
    ) -> Collection[TenantId]:
        lowest = lowest_id(since - CLOCK_WRONG)
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["idle"], list(tenants), since, lowest)
            idle = {TenantId(row["tenant_id"]) for row in rows}
            if idle:
                await connection.execute(self._sql["begin_watches"], list(idle))
                rows = await connection.fetch(self._sql["end_watches"], list(idle), through)
        return {TenantId(row["tenant_id"]) for row in rows}

    async def judged(
        self, tenant_id: TenantId, through: datetime, judge: Callable[[Watched], Sequence[NewAlert]]
    ) -> int:
        async with self._transaction() as connection:
            await connection.execute(self._sql["begin_watch"], tenant_id)
            row = await connection.fetchrow(self._sql["lock_watch"], tenant_id, through)
            if row is None:
                return 0
            told = await connection.fetch(self._sql["told_lately"], tenant_id, through - TOLD)
            planned = await connection.fetch(self._sql["planned"], tenant_id, through - HISTORY)
            budgets = await self._budget_uses(connection, tenant_id)
            before = row["judged_through"]
            watched = Watched(
                tenant_id=tenant_id,
                active=row["status"] == "active",
                currency=row["currency"],
                judged_through=None if before is None else hour_of(before),
                planned=[_to_planned(event) for event in planned],
                told=[(alert["kind"], hour_of(alert["ends_at"]) - 1) for alert in told],
                budgets=[_to_budget_use(use) for use in budgets],
            )
            alerts = await asyncio.to_thread(judge, watched)
            raised = await self._raise(connection, alerts)
            await connection.execute(self._sql["end_watch"], tenant_id, through)
        return raised

    async def alerts(
        self,
        *,
        tenant_id: TenantId | None = None,
        since: datetime | None = None,
        state: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        check_cursor("alr", before)
        acknowledged = None if state is None else state == "acknowledged"
        values = (tenant_id, since, acknowledged, before, min(limit, PAGE_MAX), _first_id(since))
        async with self._transaction() as connection:
            await connection.execute(self._sql["plan_by_values"])
            rows = await connection.fetch(self._sql["alerts"], *values)
        return [_to_alert(row) for row in rows]

    async def acknowledge(self, alert_id: str) -> Alert:
        async with self._transaction() as connection:
            row = await connection.fetchrow(self._sql["acknowledge"], alert_id)
        if row is None:
            raise NotFound("There is no such alert.")
        return _to_alert(row)

    async def mute(
        self, tenant_id: TenantId, starts_at: datetime, ends_at: datetime, reason: str
    ) -> Mute:
        mute_id = self._new_id("mut")
        async with self._transaction() as connection:
            row = await connection.fetchrow(
                self._sql["mute"], tenant_id, mute_id, starts_at, ends_at, reason
            )
        return _to_mute(row)

    async def mutes(
        self, tenant_id: TenantId, *, after: tuple[datetime, str] | None = None, limit: int = 100
    ) -> list[Mute]:
        values = (tenant_id, *(after or (None, None)), min(limit, PAGE_MAX))
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["mutes"], *values)
        return [_to_mute(row) for row in rows]

    async def unmute(self, tenant_id: TenantId, mute_id: str) -> None:
        async with self._transaction() as connection:
            tag = await connection.execute(self._sql["unmute"], tenant_id, mute_id)
        if tag == "DELETE 0":
            raise NotFound("There is no such mute.")

    async def budget_uses(
        self, tenant_id: TenantId, *, after: BudgetKey | None = None, limit: int = 100
    ) -> list[BudgetUse]:
        async with self._transaction() as connection:
            rows = await self._budget_uses(connection, tenant_id, after=after, limit=limit)
        return [_to_budget_use(row) for row in rows]

    async def counts(self) -> Mapping[tuple[str, str], int]:
        async with self._transaction() as connection:
            rows = await connection.fetch(self._sql["counts"])
        return {(row["kind"], row["severity"]): row["raised"] for row in rows}

    async def _budget_uses(
        self,
        connection: Any,
        tenant_id: TenantId,
        *,
        after: BudgetKey | None = None,
        limit: int = PAGE_MAX,
    ) -> list[Any]:
        place = (*(after or (None, None, None)), min(limit, PAGE_MAX))
        rows: list[Any] = await connection.fetch(self._sql["budget_uses"], tenant_id, *place)
        return rows

    async def _raise(self, connection: Any, alerts: Sequence[NewAlert]) -> int:
        """Stores those that are new, each with its notice, and counts them."""
        raised: list[NewAlert] = []
        for alert in alerts:
            alert_id = self._new_id("alr")
            tenant_name = await connection.fetchval(
                self._sql["insert_alert"],
                alert.tenant_id,
                alert_id,
                alert.kind,
                alert.subject,
                alert.once_key,
                str(alert.severity),
                alert.starts_at,
                alert.ends_at,
                alert.observed,
                alert.expected,
                alert.unit,
                alert.excess_tokens,
                alert.excess_charge,
                alert.currency,
                orjson.dumps(dict(alert.detail)).decode(),
            )
            if tenant_name is None:
                continue
            raised.append(alert)
            await enqueue(connection, _to_notice(alert_id, alert, tenant_name))
        if raised:
            kinds, severities = zip(*((one.kind, str(one.severity)) for one in raised), strict=True)
            await connection.execute(self._sql["count_raised"], kinds, severities)
        return len(raised)

    def _new_id(self, prefix: str) -> str:
        """Later than the one before, also within a millisecond: lists are in the order of ids."""
        self._last_ms = max(self._last_ms + 1, int(self._clock.now().timestamp() * 1000))
        return prefixed(prefix, uuid7(self._last_ms, self._clock.random(10)))


def _first_id(since: datetime | None) -> str | None:
    """Before any id of an alert that was raised then or later: ids sort by their maker's time."""
    if since is None:
        return None
    ms = int((since.timestamp() - CLOCK_WRONG.total_seconds()) * 1000)
    return prefixed("alr", uuid7(max(ms, 0), bytes(10)))


def _to_notice(alert_id: str, alert: NewAlert, tenant_name: str) -> Notice:
    """What a tenant may not see goes to the platform's receivers alone."""
    once_key = f"{alert.tenant_id} {alert.subject} {alert.once_key}"
    receiver = PLATFORM if alert.for_operator else alert.tenant_id
    return Notice(receiver, alert.kind, once_key, body_of(alert_id, alert, tenant_name))


def _to_crossed(row: Any) -> NewAlert:
    use = _to_budget_use(row)
    percent = row["percent"]
    return (
        soft_alert(use, row["soft_alert_at"]) if percent is None else threshold_alert(use, percent)
    )


def _to_budget_use(row: Any) -> BudgetUse:
    return BudgetUse(
        tenant_id=TenantId(row["tenant_id"]),
        subject=row["subject"],
        period=row["period"],
        basis=row["basis"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        limit=row["amount"],
        hard=row["hard"],
        settled=row["settled"],
        reserved=row["reserved"],
        currency=row["currency"],
        rate=row["rate"],
    )


def _to_planned(row: Any) -> PlannedEvent:
    """Every hour that the event touches."""
    start, end = (int(_zoned(row[name]).timestamp()) for name in ("starts_at", "ends_at"))
    return PlannedEvent(start // HOUR_S, -(-end // HOUR_S))


def _zoned(instant: datetime) -> datetime:
    """With its zone, which asyncpg leaves away at the first and last instants that there are."""
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _to_alert(row: Any) -> Alert:
    return Alert(
        id=row["alert_id"],
        tenant_id=TenantId(row["tenant_id"]),
        tenant_name=row["tenant_name"],
        kind=row["kind"],
        subject=row["subject"],
        severity=Severity(row["severity"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        observed=row["observed"],
        expected=row["expected"],
        unit=row["unit"],
        excess_tokens=row["excess_tokens"],
        excess_charge=row["excess_charge"],
        currency=row["currency"],
        detail=json.loads(row["detail"]),
        raised_at=row["raised_at"],
        acknowledged_at=row["acknowledged_at"],
    )


def _to_mute(row: Any) -> Mute:
    return Mute(
        id=row["mute_id"],
        tenant_id=TenantId(row["tenant_id"]),
        starts_at=_zoned(row["starts_at"]),
        ends_at=_zoned(row["ends_at"]),
        reason=row["reason"],
        muted_at=row["muted_at"],
    )
