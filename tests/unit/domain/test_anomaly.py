"""What raises an alert, what does not, and how often it is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from tenantry.domain.anomaly import (
    BadHours,
    Floor,
    Kind,
    PlannedEvent,
    Series,
    Settings,
    UsageHour,
    alerts_of,
    series_of,
)

START = 490_896  # 2026-01-01T00:00Z
WEEK_H = 168
USD = Decimal("0.00001")
DAY_SHAPE = [2, 1, 1, 1, 1, 2, 5, 20, 40, 60, 70, 70, 60, 65, 70, 60, 50, 30, 15, 10, 8, 6, 4, 3]


def steady(weeks: int, requests: int = 50) -> list[int]:
    """Requests by hour, with a wobble that has no period of a week."""
    return [requests + at * 7 % 11 - 5 for at in range(weeks * WEEK_H)]


def office(weeks: int) -> list[int]:
    return [DAY_SHAPE[at % 24] * (1 if at // 24 % 7 < 5 else 0) for at in range(weeks * WEEK_H)]


def used(requests: Sequence[int], start: int = START) -> Series:
    return series_of(
        UsageHour(start + at, count * 1_000, count, count * 1_000 * USD)
        for at, count in enumerate(requests)
    )


def kinds(series: Series, **more: object) -> list[tuple[int, Kind]]:
    return [(alert.hour - START, alert.kind) for alert in alerts_of(series, **more)]  # type: ignore[arg-type]


def with_spike(at: int, factor: int = 12, weeks: int = 8) -> list[int]:
    requests = steady(weeks)
    requests[at] *= factor
    return requests


@pytest.mark.parametrize("requests", [steady(12), office(12), [0] * 500, [5], []])
def test_the_usual_raises_nothing(requests: list[int]) -> None:
    assert alerts_of(used(requests)) == []


class Unread(list[int]):
    """What nobody looks at."""

    def __getitem__(self, _: object) -> int:  # type: ignore[override]
        raise AssertionError("it was read")

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("it was read")


def test_hours_of_a_tenant_below_the_floor_are_not_judged_one_by_one() -> None:
    """Of many tenants most are so small that no hour, day or week of theirs could be told."""
    small = used([1] * (12 * WEEK_H))
    assert alerts_of(Series(small.start, small.tokens, Unread(), small.charges)) == []
    with pytest.raises(AssertionError, match="was read"):
        alerts_of(Series(small.start, [2 * count for count in small.tokens], Unread(), ()))


def test_one_hour_is_a_spike_told_once_with_its_excess() -> None:
    (alert,) = alerts_of(used(with_spike(1000)))
    assert (alert.hour - START, alert.kind) == (1000, Kind.SPIKE)
    assert alert.excess == pytest.approx(11 * 50_000, rel=0.15)


def test_night_use_of_an_office_is_unusual_although_its_days_have_more() -> None:
    requests = office(8)
    night = 7 * WEEK_H + 24 + 2
    requests[night : night + 4] = [70] * 4
    requests = [count * 5 for count in requests]
    assert [at for at, _ in kinds(used(requests))] == [night]


def test_three_times_the_use_for_two_days_is_told() -> None:
    requests = steady(8)
    requests[1000:1048] = [count * 3 for count in requests[1000:1048]]
    told = kinds(used(requests))
    assert len(told) == 1
    assert 1000 <= told[0][0] < 1024


def test_a_leak_is_told_as_one() -> None:
    requests = [int(r * 1.06 ** max(0, (at - 1008) / 24)) for at, r in enumerate(steady(8))]
    assert Kind.LEAK in {kind for _, kind in kinds(used(requests))}


def test_a_leak_looks_only_back_and_counts_days_from_midnight() -> None:
    requests = [int(r * 1.06 ** max(0, (at - 1008) / 24)) for at, r in enumerate(steady(8))]
    start = START + 5
    whole = alerts_of(used(requests, start))
    assert {alert.hour % 24 for alert in whole if alert.kind is Kind.LEAK} == {23}
    for end in (1100, 1200, 1300):
        known = alerts_of(used(requests[:end], start))
        assert known == [alert for alert in whole if alert.hour < start + end]


def test_growth_that_was_always_there_is_none() -> None:
    assert alerts_of(used([int(r * 1.01 ** (at / 24)) for at, r in enumerate(steady(12))])) == []


def test_a_quiet_week_and_the_way_back_raise_nothing() -> None:
    requests = steady(10)
    requests[900:1068] = [count // 7 for count in requests[900:1068]]
    assert alerts_of(used(requests)) == []


def test_an_event_does_not_hide_the_next_one_week_later() -> None:
    requests = with_spike(1000)
    requests[1000 + WEEK_H] *= 12
    assert [at for at, _ in kinds(used(requests))] == [1000, 1000 + WEEK_H]


def test_the_cool_down_is_between_episodes() -> None:
    requests = with_spike(1000)
    requests[1010] *= 12
    assert [at for at, _ in kinds(used(requests))] == [1000]
    requests[1080] *= 12
    assert [at for at, _ in kinds(used(requests))] == [1000, 1080]


def test_an_alert_looks_only_back() -> None:
    requests = with_spike(1000)
    requests[1200:1248] = [count * 4 for count in requests[1200:1248]]
    whole = alerts_of(used(requests))
    assert len(whole) >= 2
    for end in (999, 1000, 1001, 1210, 1300):
        assert alerts_of(used(requests[:end])) == [a for a in whole if a.hour < START + end]


def test_a_new_tenant_is_told_of_a_runaway_alone() -> None:
    calm = steady(1)
    assert alerts_of(used(calm)) == []
    calm[100] *= 30
    assert [at for at, _ in kinds(used(calm))] == [100]


def test_planned_use_is_not_told() -> None:
    series = used(with_spike(1000))
    assert kinds(series, planned=[PlannedEvent(START + 990, START + 1001)]) == []
    assert kinds(series, planned=[PlannedEvent(START + 980, START + 1000)]) != []


def test_the_money_floor_is_exact() -> None:
    third = Decimal("0.1")
    floor = Floor(tokens=0, share=0.0, charge=third)
    assert floor.passed(1, 3, Decimal("0.3"))
    assert not floor.passed(1, 3, Decimal("0.299999999999999999999999999999"))
    assert floor.passed(1, 3, Decimal(0)), "use without a charge is judged by its tokens"


def test_what_costs_too_little_is_not_told() -> None:
    series = used(with_spike(1000))
    assert kinds(series, settings=Settings(Floor(charge=Decimal(4)))) != []
    assert kinds(series, settings=Settings(Floor(charge=Decimal(7)))) == []
    assert kinds(series, settings=Settings(Floor(tokens=700_000))) == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(0, 1, 1, "1"), (0, 1, 1, "1")], "2026-01-01T00:00:00Z is there twice"),
        ([(0, -1, 1, "1")], "below 0"),
        ([(0, 1, 1, "NaN")], "below 0"),
        ([(0, 1, 1, "1"), (10**6, 1, 1, "1")], "1000001 hours"),
    ],
)
def test_hours_that_are_no_series_are_refused(
    rows: list[tuple[int, int, int, str]], told: str
) -> None:
    with pytest.raises(BadHours, match=told):
        series_of(UsageHour(START + at, t, r, Decimal(c)) for at, t, r, c in rows)
