"""What a running deployment tells, hour by hour over the last weeks, is what a replay tells."""

from __future__ import annotations

from itertools import islice

import pytest
from tests.support.usage_facts import facts_tenants
from tests.support.usage_simulation import tenants

from tenantry.application.final_hours import first_hour
from tenantry.application.usage_watch import usage_alerts
from tenantry.domain.alert import NewAlert
from tenantry.domain.anomaly import HourFacts, Settings, facts_of, hour_of, unusual
from tenantry.domain.ids import TenantId
from tenantry.ports.alerts import Watched

LEAD_H = 6  # judged before the event, and so many after its end
TENANT = TenantId("tnt_x")


def rolling(rows: list[HourFacts], first: int, last: int) -> list[tuple[str, int]]:
    """Told by a worker that judges each hour when it is final, from `first` to `last`."""
    told: list[tuple[str, int]] = []
    for end in range(first + 1, last + 2):
        start = first_hour(end)
        series = facts_of([row for row in rows if start <= row.hour < end], end)
        watched = Watched(TENANT, True, "USD", end - 1, (), tuple(told), ())
        told += [_named(alert) for alert in usage_alerts(watched, series, end, Settings())]
    return told


def _named(alert: NewAlert) -> tuple[str, int]:
    assert alert.ends_at is not None
    return alert.kind, hour_of(alert.ends_at) - 1


def replayed(rows: list[HourFacts], first: int, last: int) -> list[tuple[str, int]]:
    series = facts_of([row for row in rows if row.hour <= last], last + 1)
    found = unusual(series, first)
    return [(f"usage.{f.kind}", f.hour) for f in found]


def judge(rows: list[HourFacts], event: tuple[int, int]) -> None:
    first, last = event[0] - LEAD_H, min(event[1] + LEAD_H, rows[-1].hour)
    told = rolling(rows, first, last)
    assert told
    assert told == replayed(rows, first, last)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_volume_is_told_as_a_replay_tells_it(seed: int) -> None:
    material = (t for t in tenants(seed) if t.event and t.event.material and t.event.kind != "leak")
    for tenant in islice(material, 1):
        assert tenant.event is not None
        rows = [
            HourFacts(r.hour, r.requests, r.tokens, r.tokens, charge=r.charge)
            for r in tenant.rows
            if r.requests
        ]
        judge(rows, (tenant.event.start, tenant.event.end))


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_other_kinds_are_told_as_a_replay_tells_them(seed: int) -> None:
    material = (t for t in facts_tenants(seed, 60) if t.event and t.event.material)
    for tenant in islice(material, 1):
        assert tenant.event is not None
        series = tenant.series
        rows = [
            HourFacts(
                series.start + at, series.usage.requests[at], series.usage.tokens[at],
                series.input_tokens[at], series.cache_read_tokens[at], series.throttled[at],
            )
            for at in range(len(series))
            if series.usage.tokens[at] or series.throttled[at]
        ]  # fmt: skip
        judge(rows, (tenant.event.start, tenant.event.end))
