"""Silence, larger requests, missed caches and throttles: found, worth something, and told once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.usage_simulation import tenants

from tenantry.domain.anomaly import (
    BadHours,
    Finding,
    Floor,
    HourFacts,
    PlannedEvent,
    Settings,
    facts_of,
    unusual,
)

START = 490_896  # 2026-01-01T00:00Z
WEEKS = 6
END = START + WEEKS * 168
LATELY = 48  # hours in which something happens
NEW_KINDS = {"silence", "request_size", "cache_hits", "throttled"}


def ordinary(hour: int) -> HourFacts:
    asked = 100 + hour * 7 % 11
    tokens = asked * 1_000
    return HourFacts(hour, asked, tokens, tokens * 8 // 10, tokens * 6 // 10)


def found(
    changed: Callable[[HourFacts], HourFacts],
    *,
    weeks: int = WEEKS,
    planned: tuple[PlannedEvent, ...] = (),
    settings: Settings | None = None,
) -> list[Finding]:
    """What is told of the last hours, where `changed` makes them other than ordinary."""
    first = END - weeks * 168
    rows = [ordinary(hour) for hour in range(first, END - LATELY)]
    rows += [changed(ordinary(hour)) for hour in range(END - LATELY, END)]
    series = facts_of([row for row in rows if row.requests or row.throttled], END)
    return [
        finding
        for finding in unusual(series, first, settings, planned=planned)
        if finding.kind in NEW_KINDS
    ]


def silent(row: HourFacts) -> HourFacts:
    return HourFacts(row.hour, 0, 0)


def large(row: HourFacts) -> HourFacts:
    return replace(row, tokens=row.tokens * 3, input_tokens=row.input_tokens * 3,
                   cache_read_tokens=row.cache_read_tokens * 3)  # fmt: skip


def uncached(row: HourFacts) -> HourFacts:
    return replace(row, cache_read_tokens=row.input_tokens // 10)


def throttled(row: HourFacts) -> HourFacts:
    return replace(row, throttled=40)


CHANGES = {
    "silence": (silent, 3),
    "request_size": (large, 3),
    "cache_hits": (uncached, 24),  # in three hours too little is missed
    "throttled": (throttled, 1),
}


def test_an_ordinary_tenant_hears_nothing() -> None:
    assert found(lambda row: row) == []


@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_it_is_told_once(kind: str) -> None:
    changed, hours = CHANGES[kind]
    told = found(changed)
    assert [finding.kind for finding in told] == [kind]
    (finding,) = told
    assert finding.hours == hours
    assert END - LATELY <= finding.hour < END - LATELY + max(3, hours * 2 // 3)


@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_announced_hours_are_not_told(kind: str) -> None:
    changed, _ = CHANGES[kind]
    assert found(changed, planned=(PlannedEvent(END - LATELY, END),)) == []


@pytest.mark.parametrize("kind", sorted(set(CHANGES) - {"throttled"}))
def test_a_new_tenant_has_no_usual(kind: str) -> None:
    changed, _ = CHANGES[kind]
    assert found(changed, weeks=1) == []


def test_figures_are_those_of_the_window() -> None:
    (silence,) = found(silent)
    assert (silence.observed, silence.unit) == (0, "requests")
    assert 300 < silence.expected < 330
    (size,) = found(large)
    assert size.expected == 1_000
    assert size.observed == pytest.approx(1_000 + 2_000 / 3, rel=0.05) or size.observed <= 3_000
    assert size.excess_tokens is not None
    assert size.excess_tokens >= Floor().tokens
    (cache,) = found(uncached)
    assert cache.expected == pytest.approx(0.75, abs=0.01)
    assert cache.observed <= cache.expected / 2
    (rate,) = found(throttled)
    assert (rate.observed, rate.expected) == (40, 0)


@pytest.mark.parametrize(
    "changed",
    [
        lambda row: replace(row, throttled=4),  # many in a day, and under one in twenty
        lambda row: replace(row, throttled=19 if row.hour == END - 1 else 0),  # too few in an hour
        lambda row: replace(row, tokens=row.tokens * 13 // 10),
        lambda row: replace(row, cache_read_tokens=row.cache_read_tokens * 2 // 3),
        lambda row: replace(row, requests=1, tokens=1_000, input_tokens=800),
    ],
)
def test_what_is_below_its_floor_is_not_told(changed: Callable[[HourFacts], HourFacts]) -> None:
    assert found(changed) == []


def test_a_day_of_a_few_throttles_each_hour_adds_up() -> None:
    (finding,) = found(lambda row: replace(row, throttled=10))
    assert (finding.kind, finding.hours) == ("throttled", 24)


def test_who_asks_and_is_throttled_is_not_silent() -> None:
    assert {f.kind for f in found(lambda row: replace(silent(row), throttled=1))} == {"throttled"}


def test_the_money_floor_is_that_of_the_settings() -> None:
    high = Settings(floor=Floor(tokens=10**9))
    assert found(large, settings=high) == []
    assert found(uncached, settings=high) == []


def test_who_is_throttled_every_week_is_used_to_it() -> None:
    rows = [
        replace(ordinary(hour), throttled=60 if hour % 168 == 9 else 0)
        for hour in range(START, END)
    ]
    kinds = [f.hour for f in unusual(facts_of(rows, END), START) if f.kind == "throttled"]
    assert len(kinds) == 1, "the first time is news"


def test_simulated_tenants_hear_nothing_of_it() -> None:
    """Whatever their shape and event: their requests have one size, and none falls silent."""
    told = 0
    for tenant in tenants(1, 12):
        rows = [
            HourFacts(r.hour, r.requests, r.tokens, r.tokens) for r in tenant.rows if r.requests
        ]
        series = facts_of(rows, tenant.rows[-1].hour + 1)
        told += sum(f.kind in NEW_KINDS for f in unusual(series, series.start))
    assert told == 0


def test_hours_that_are_no_series_are_refused() -> None:
    assert len(facts_of([], END)) == 0
    assert unusual(facts_of([], END), START) == []
    with pytest.raises(BadHours):
        facts_of([ordinary(END)], END)
    with pytest.raises(BadHours):
        facts_of([ordinary(START), ordinary(END)], END)
