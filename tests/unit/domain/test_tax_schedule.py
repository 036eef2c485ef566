"""Which tax holds from which day on, by what was entered one after the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tenantry.domain.tax import NO_TAX, TaxRate
from tenantry.domain.tax_schedule import TaxStep, tax_before, tax_schedule

Entered = tuple[str, str | None]


def steps(*entered: Entered, label: str = "VAT") -> list[TaxStep]:
    return [
        TaxStep(TaxRate(Decimal(rate), label), None if day is None else date.fromisoformat(day))
        for rate, day in entered
    ]


JULY, OCTOBER, JANUARY = "2026-07-01", "2026-10-01", "2027-01-01"


@pytest.mark.parametrize(
    ("entered", "expected"),
    [
        ([("0.19", None)], [("0.19", None)]),
        # Put off, brought forward, and once more; what says nothing of it stands in between.
        ([("0.19", None), ("0.21", JULY), ("0.21", OCTOBER)], [("0.19", None), ("0.21", OCTOBER)]),
        ([("0.19", None), ("0.21", OCTOBER), ("0.210", JULY)], [("0.19", None), ("0.21", JULY)]),
        (
            [("0.19", None), ("0.21", JULY), ("0.21", JULY), ("0.21", OCTOBER), ("0.21", JANUARY)],
            [("0.19", None), ("0.21", JANUARY)],
        ),
        # Its day was forgotten.
        ([("0.19", None), ("0.21", None), ("0.21", JANUARY)], [("0.19", None), ("0.21", JANUARY)]),
        # Lowered for a while.
        (
            [("0.19", None), ("0.16", JULY), ("0.19", JANUARY)],
            [("0.19", None), ("0.16", JULY), ("0.19", JANUARY)],
        ),
        # Covered, and seen again once what covered it is moved.
        ([("0.19", None), ("0.2", OCTOBER), ("0.21", JULY)], [("0.19", None), ("0.21", JULY)]),
        (
            [("0.19", None), ("0.2", OCTOBER), ("0.21", JULY), ("0.21", JANUARY)],
            [("0.19", None), ("0.2", OCTOBER), ("0.21", JANUARY)],
        ),
        # Another rate from the same day on; and all taken back.
        ([("0.19", None), ("0.21", JULY), ("0.22", JULY)], [("0.19", None), ("0.22", JULY)]),
        ([("0.19", None), ("0.21", JULY), ("0.19", None)], [("0.19", None)]),
        ([("0.19", None), ("0.21", JULY), ("0.19", JULY)], [("0.19", None)]),
        (
            [("0.16", None), ("0.19", JULY), ("0.21", OCTOBER), ("0.19", OCTOBER)],
            [("0.16", None), ("0.19", JULY)],
        ),
    ],
)
def test_the_schedule_is_what_was_said_last_of_each_day(
    entered: list[Entered], expected: list[Entered]
) -> None:
    assert list(tax_schedule(steps(*entered))) == steps(*expected)


def test_nothing_is_taxed_before_the_first_tax() -> None:
    assert tax_schedule([]) == ()
    first, second = tax_schedule(steps(("0.19", OCTOBER)))
    assert (first, [second]) == (TaxStep(NO_TAX, None), steps(("0.19", OCTOBER)))
    assert first.to_json() == {"starts_on": None, "rate": "0", "label": "Tax"}


def test_a_tax_of_all_periods_from_the_first_on_is_not_taken_back_by_a_day() -> None:
    [only] = tax_schedule(steps(("0.19", None), ("0.19", OCTOBER), ("0.19", JANUARY)))
    assert [only] == steps(("0.19", None))


def test_another_label_is_another_tax() -> None:
    entered = steps(("0.19", JULY)) + steps(("0.19", OCTOBER), label="USt")
    assert [each.tax.label for each in tax_schedule(entered)] == ["Tax", "VAT", "USt"]


def test_a_day_has_the_tax_that_started_last() -> None:
    schedule = tax_schedule(steps(("0.19", None), ("0.21", OCTOBER), ("0.22", JANUARY)))
    day = date.fromisoformat(OCTOBER)
    for after, expected in ((0, "0.19"), (1, "0.21"), (92, "0.21"), (93, "0.22")):
        assert tax_before(schedule, day + timedelta(days=after)).rate == Decimal(expected)


def test_before_days_moved_each_version_was_a_tax_of_its_own() -> None:
    """What was entered then moves nothing, and is moved by what was entered since."""
    entered = [
        replace(step, moves=False)
        for step in steps(("0.19", None), ("0.21", JULY), ("0.21", OCTOBER))
    ]
    before = tax_schedule(entered)
    assert tax_before(before, date.fromisoformat(OCTOBER)).rate == Decimal("0.21")
    assert tax_before(before, date.fromisoformat(JULY)).rate == Decimal("0.19")
    since = tax_schedule([*entered, *steps(("0.21", JANUARY))])
    assert tax_before(since, date.fromisoformat(JANUARY)).rate == Decimal("0.19")
