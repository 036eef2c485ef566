"""The day that `--in` names is a day of the tenant, not of UTC."""

from dataclasses import replace
from datetime import date

import pytest
from tests.support.core import principal

from tenantry.domain.period import billing_period
from tenantry.entrypoints.cli.invoices import _instant


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Pacific/Kiritimati", "Asia/Kolkata"])
@pytest.mark.parametrize("anchor_day", [1, 15, 31])
def test_a_day_is_in_the_period_that_holds_it_for_the_tenant(zone: str, anchor_day: int) -> None:
    someone = replace(principal().tenant, zone=zone)
    first, last = date(2026, 12, anchor_day), date(2026, 11, 30)
    start = _instant(first, someone)
    assert start is not None
    period = billing_period(start, zone, anchor_day)
    assert start - period.start < (period.end - period.start) / 20  # its first day
    if anchor_day == 1:
        before = _instant(last, someone)
        assert before is not None
        assert billing_period(before, zone, anchor_day).end == period.start


def test_no_day_is_now() -> None:
    assert _instant(None, principal().tenant) is None
