"""Where a period will end, by the tenant's own weeks; exact until the one rounding."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from tenantry.domain.pacing import Past, forecast, most_by_weeks, past_of

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = int(MONDAY.timestamp()) // 3600
WEEK = 168


def past(hours: int, amount: Callable[[int], Decimal], end: int = HOUR) -> Past:
    return past_of(end - hours, (amount(hour) for hour in range(end - hours, end)))


def always(amount: str) -> Callable[[int], Decimal]:
    return lambda _: Decimal(amount)


def business(hour: int) -> Decimal:
    """A dollar in each working hour, a tenth of a cent elsewhere."""
    working = hour // 24 % 7 not in (2, 3) and 8 <= hour % 24 < 18  # 1970-01-01 was a Thursday
    return Decimal(1) if working else Decimal("0.001")


def test_a_tenant_that_never_changes_is_forecast_exactly() -> None:
    found = forecast(
        past(6 * WEEK, always("0.1")),
        MONDAY,
        MONDAY + timedelta(days=28),
        spent=Decimal("3.30"),
        limit=Decimal(50),
    )
    assert found is not None
    assert found.expected == found.low == found.high == Decimal("70.5")  # 3.3 + 672 × 0.1
    # 467 hours of a tenth make 50.0: not passed yet; the next one passes it.
    assert found.passes_at == MONDAY + timedelta(hours=468)
    assert found.based_on == "weeks"


def test_a_limit_that_is_not_reached_is_not_passed() -> None:
    of = past(6 * WEEK, always("0.1"))
    end = MONDAY + timedelta(days=10)
    for limit in (Decimal(24), None):
        found = forecast(of, MONDAY, end, spent=Decimal(0), limit=limit)
        assert found is not None
        assert (found.expected, found.passes_at) == (Decimal(24), None)
    spent = forecast(of, MONDAY, end, spent=Decimal(5), limit=Decimal(4))
    assert spent is not None
    assert spent.passes_at == MONDAY


@pytest.mark.parametrize("seed", range(8))
def test_no_forecast_by_weeks_is_more_than_the_most_that_one_says(seed: int) -> None:
    """By that most budgets of many are left out, without a forecast of each."""
    draw, reached = random.Random(seed), Fraction(0)
    for _ in range(12):
        busy, growth = draw.choice((1, 5, 100)), draw.choice((0, 1, 20))

        def amount(hour: int, busy: int = busy, growth: int = growth) -> Decimal:
            if draw.randrange(busy):
                return Decimal(0)
            return Decimal(draw.randrange(1, 1_000)) * growth ** ((HOUR - hour) // WEEK < 1)

        of = past(draw.randrange(3 * WEEK, 12 * WEEK), amount)
        now = MONDAY + timedelta(minutes=draw.randrange(60))
        end = MONDAY + timedelta(hours=draw.randrange(2, 62 * 24))
        found = forecast(of, now, end, spent=Decimal(0), limit=None)
        most = most_by_weeks(of, now, end)
        if found is not None and found.based_on == "weeks":
            assert Fraction(found.expected) <= most
            reached = max(reached, Fraction(found.expected) / most if most else reached)
    assert reached > Fraction(1, 100)  # it says something


def test_the_hours_of_the_week_are_known() -> None:
    of = past(5 * WEEK, business)
    until_friday = forecast(
        of, MONDAY, MONDAY + timedelta(days=5), spent=Decimal(0), limit=Decimal("35.5")
    )
    weekend = forecast(
        past(5 * WEEK, business, HOUR + 120),
        MONDAY + timedelta(days=5),
        MONDAY + timedelta(days=7),
        spent=Decimal(0),
        limit=None,
    )
    assert until_friday is not None
    assert weekend is not None
    assert until_friday.expected == Decimal("50.07")  # 5 × (10 × 1 + 14 × 0.001)
    assert until_friday.passes_at == MONDAY + timedelta(days=3, hours=14)
    assert weekend.expected == Decimal("0.048")


def test_growth_goes_on_and_widens_the_range() -> None:
    def growing(hour: int) -> Decimal:
        return Decimal(100 + (hour - HOUR + 8 * WEEK) // 24).scaleb(-2)

    end = MONDAY + timedelta(days=14)
    found = forecast(past(8 * WEEK, growing), MONDAY, end, spent=Decimal(0), limit=None)
    assert found is not None
    truth = sum(growing(hour) for hour in range(HOUR, HOUR + 14 * 24))
    assert found.low < found.expected < found.high or found.expected == found.low
    assert found.expected == pytest.approx(truth, rel=Decimal("0.07"))


def test_one_wild_day_is_no_forecast() -> None:
    wild = range(HOUR - 10 * 24, HOUR - 9 * 24)

    def of(hour: int) -> Decimal:
        return Decimal(50) if hour in wild else Decimal("0.1")

    end = MONDAY + timedelta(days=20)
    found = forecast(past(6 * WEEK, of), MONDAY, end, spent=Decimal(0), limit=None)
    assert found is not None
    assert found.expected == 48


def test_a_part_of_the_tenants_use() -> None:
    found = forecast(
        past(4 * WEEK, always("0.9")),
        MONDAY,
        MONDAY + timedelta(hours=10),
        spent=Decimal(1),
        limit=Decimal(3),
        share=Fraction(1, 3),
    )
    assert found is not None
    assert found.expected == 4
    assert found.passes_at == MONDAY + timedelta(hours=7)


def test_a_new_tenant_is_judged_by_its_days_and_then_by_its_weeks() -> None:
    def of(hour: int) -> Decimal:
        return Decimal(1 + hour // 24 % 3)

    end = MONDAY + timedelta(days=3)
    few_hours = forecast(past(20, of), MONDAY, end, spent=Decimal(0), limit=None)
    assert few_hours is None
    days = forecast(past(3 * 24, of), MONDAY, end, spent=Decimal(7), limit=None)
    assert days is not None
    assert days.based_on == "days"
    assert (days.low, days.expected, days.high) == (7 + 72, 7 + 144, 7 + 216)
    weeks = forecast(past(14 * 24, of), MONDAY, end, spent=Decimal(7), limit=None)
    assert weeks is not None
    assert weeks.based_on == "weeks"


def test_nothing_used_is_nothing_forecast() -> None:
    found = forecast(
        past(6 * WEEK, always("0")),
        MONDAY,
        MONDAY + timedelta(days=20),
        spent=Decimal(0),
        limit=None,
    )
    assert found is not None
    assert (found.low, found.expected, found.high) == (0, 0, 0)


def test_the_result_is_rounded_once_and_half_up() -> None:
    found = forecast(
        past(3 * 24, lambda hour: Decimal("0.0000001") if hour % 24 == 3 else Decimal(0)),
        MONDAY,
        MONDAY + timedelta(days=5),
        spent=Decimal("0.000001"),
        limit=None,
    )
    assert found is not None
    assert str(found.expected) == "0.000002"  # 0.0000015
