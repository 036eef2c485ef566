"""What a minimum takes of late usage goes by what was invoiced before as one sum of each price."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tenantry.domain.contract import Contract, Terms
from tenantry.domain.late_usage import Closed, EarlierPeriod, late_of
from tenantry.domain.period import billing_period
from tenantry.domain.usage_line import UsageLine

OCTOBER = billing_period(datetime(2026, 10, 15, tzinfo=UTC), "UTC", 1)
TERMS = Terms(date(2026, 1, 1), "p", Decimal(0), minimum=Decimal(10))


def row(quantity: int) -> UsageLine:
    """At 1 for 1,000,000."""
    return UsageLine("m", "out", quantity, Decimal(quantity) / 1_000_000, Decimal(1))


@pytest.mark.parametrize(
    ("invoiced", "late", "amounts"),
    [
        (4_004_000, 4_004_000, ["4.00", "-4.00"]),
        (8_008_000, 3_000_000, ["3.00", "-1.99"]),  # of 10 - 8.01, though 4.00 twice is 8.00
        (12_000_000, 3_000_000, ["3.00"]),
        (11_000_000, -3_004_000, ["-3.00", "2.00"]),
    ],
)
def test_what_a_minimum_covers_of_late_usage(invoiced: int, late: int, amounts: list[str]) -> None:
    earlier = EarlierPeriod(OCTOBER, [row(invoiced)], [row(late)], Closed(None, ()))
    found = late_of(Contract("UTC", (TERMS,)), [earlier])
    assert [str(line.amount) for line in found.lines] == amounts
