"""Whose terms a period has, and whether a token's price goes by how many came before it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tenantry.domain.billing import statement
from tenantry.domain.contract import Contract, Terms, terms_from, terms_until
from tenantry.domain.overage import Overage
from tenantry.domain.period import billing_period
from tenantry.domain.tiers import Step, Tiers

NOVEMBER = billing_period(datetime(2026, 11, 23, tzinfo=UTC), "UTC", 1)
LAST = Step(None, Decimal(8))


def terms(overage: Overage | None = None, minimum: str = "0") -> Terms:
    return Terms(date(2026, 1, 1), "team", Decimal(99), overage, Decimal(minimum))


@pytest.mark.parametrize(
    ("given", "by_order"),
    [
        (terms(), False),
        (terms(Overage(0, Tiers("graduated", (LAST,)))), False),
        (terms(Overage(0, Tiers("volume", (Step(9, Decimal("8.0")), LAST)))), False),
        (terms(Overage(1, Tiers("graduated", (LAST,)))), True),
        (terms(Overage(0, Tiers("graduated", (Step(9, Decimal(10)), LAST)))), True),
        (terms(Overage(0, Tiers("volume", (Step(9, Decimal(0)), LAST)))), True),
        (terms(minimum="0.01"), True),
    ],
)
def test_a_price_goes_by_order_with_included_tokens_steps_or_a_minimum(
    given: Terms, by_order: bool
) -> None:
    assert given.goes_by_order(1) is given.goes_by_order(-1) is by_order


def test_what_moves_no_token_goes_by_order_under_a_minimum_alone() -> None:
    steps = Overage(1, Tiers("graduated", (LAST,)))
    assert not terms(steps).goes_by_order(0)
    assert terms(steps, "0.01").goes_by_order(0)
    assert terms(minimum="0.01").goes_by_order(0)


@pytest.mark.parametrize("ends", [None, date(2026, 6, 1), date(2026, 10, 20), date(2026, 11, 20)])
@pytest.mark.parametrize(
    "starts",
    [
        [date(2026, 1, 1)],
        [date(2026, 1, 1), date(2026, 9, 1), date(2026, 11, 1)],
        [date(2026, 1, 1), date(2026, 10, 31), date(2026, 11, 2), date(2026, 12, 1)],
        [date(2026, 5, 1), date(2026, 11, 2), date(2026, 11, 30)],
    ],
)
def test_a_period_has_the_terms_that_its_statement_goes_by(
    starts: list[date], ends: date | None
) -> None:
    agreed = tuple(Terms(day, f"of-{day}", Decimal(1)) for day in starts)
    held = terms_until(agreed, ends)
    made = statement(Contract("UTC", held, ends=ends), NOVEMBER, [])
    assert terms_from(held, date(2026, 11, 1)) == made.terms


def test_who_comes_within_a_period_has_its_first_terms() -> None:
    agreed = tuple(Terms(date(2026, 11, day), f"of-{day}", Decimal(1)) for day in (5, 9))
    made = statement(Contract("UTC", agreed), NOVEMBER, [])
    assert terms_from(agreed, date(2026, 11, 1)) == made.terms == agreed[0]
