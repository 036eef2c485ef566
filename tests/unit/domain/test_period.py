"""Every instant is in exactly one day and one period of any zone."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.period import Span, billing_period, civil_day

NEW_YORK = "America/New_York"
ZONES = sorted(
    zone
    for zone in zoneinfo.available_timezones()
    if "/" in zone and not zone.startswith(("Etc/", "SystemV/", "posix/", "right/"))
)
BEGIN, END = datetime(2005, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
SECONDS = int((END - BEGIN).total_seconds())
INSTANTS = st.integers(0, SECONDS).map(lambda seconds: BEGIN + timedelta(seconds=seconds))
MICROSECOND = timedelta(microseconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_last_instant_of_november_and_the_first_of_december() -> None:
    november = billing_period(at("2026-12-01T04:59:59.999Z"), NEW_YORK, 1)
    december = billing_period(at("2026-12-01T05:00:00Z"), NEW_YORK, 1)
    assert november.end == december.start == at("2026-12-01T05:00:00Z")
    assert november.start == at("2026-11-01T04:00:00Z")
    assert november.hours == 721
    assert billing_period(at("2026-03-15T12:00:00Z"), NEW_YORK, 1).hours == 743


@pytest.mark.parametrize(
    ("anchor", "instant", "start", "end"),
    [
        (31, "2026-02-15T00:00:00Z", "2026-01-31", "2026-02-28"),
        (31, "2026-02-28T00:00:00Z", "2026-02-28", "2026-03-31"),
        (31, "2026-03-30T23:59:59Z", "2026-02-28", "2026-03-31"),
        (31, "2026-04-30T00:00:00Z", "2026-04-30", "2026-05-31"),
        (30, "2028-02-29T00:00:00Z", "2028-02-29", "2028-03-30"),
        (29, "2026-03-01T00:00:00Z", "2026-02-28", "2026-03-29"),
        (29, "2028-02-28T23:59:59Z", "2028-01-29", "2028-02-29"),
        (1, "2026-12-31T23:59:59Z", "2026-12-01", "2027-01-01"),
        (15, "2027-01-14T23:59:59Z", "2026-12-15", "2027-01-15"),
    ],
)
def test_anchors_that_a_month_does_not_have(
    anchor: int, instant: str, start: str, end: str
) -> None:
    period = billing_period(at(instant), "UTC", anchor)
    assert period == Span(at(f"{start}T00:00:00Z"), at(f"{end}T00:00:00Z"))


@given(INSTANTS, st.sampled_from(ZONES), st.integers(1, 31))
def test_every_instant_is_in_exactly_one_period(instant: datetime, zone: str, anchor: int) -> None:
    period = billing_period(instant, zone, anchor)
    assert instant in period
    assert billing_period(period.start, zone, anchor) == period
    assert billing_period(period.end - MICROSECOND, zone, anchor) == period
    assert billing_period(period.end, zone, anchor).start == period.end
    assert billing_period(period.start - MICROSECOND, zone, anchor).end == period.start
    assert 28 * 24 - 25 <= period.hours <= 31 * 24 + 25


@given(INSTANTS, st.sampled_from(ZONES))
def test_every_instant_is_in_exactly_one_day(instant: datetime, zone: str) -> None:
    day = civil_day(instant, zone)
    assert instant in day
    assert civil_day(day.start, zone) == day
    assert civil_day(day.end - MICROSECOND, zone) == day
    after = civil_day(day.end, zone)
    assert after.start == day.end
    assert civil_day(day.start - MICROSECOND, zone).end == day.start


@given(INSTANTS, st.sampled_from(ZONES))
def test_periods_begin_where_days_do(instant: datetime, zone: str) -> None:
    period = billing_period(instant, zone, 1)
    assert civil_day(period.start, zone).start == period.start


@pytest.mark.parametrize(
    ("zone", "instant", "hours"),
    [
        (NEW_YORK, "2026-03-08T12:00:00Z", 23),
        (NEW_YORK, "2026-11-01T12:00:00Z", 25),
        ("America/Santiago", "2026-09-06T12:00:00Z", 23),  # its midnight does not exist
        ("America/Havana", "2026-11-01T12:00:00Z", 25),  # its midnight comes twice
        ("Asia/Kolkata", "2026-11-01T12:00:00Z", 24),
    ],
)
def test_days_are_as_long_as_they_are(zone: str, instant: str, hours: int) -> None:
    assert civil_day(at(instant), zone).hours == hours


def test_an_instant_without_a_zone_is_nobodys() -> None:
    with pytest.raises((TypeError, ValueError)):
        civil_day(datetime(2026, 1, 1), "UTC")  # noqa: DTZ001
