"""A line of a bill is read exactly; both sides of a day are held against each other."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tenantry.domain.bill import BillError, BillLine, bill_line
from tenantry.domain.bill_reconciliation import (
    Billed,
    BillTally,
    Booked,
    UsageKey,
    Window,
    compared,
    tenant_differences,
    tolerance,
)

ROW = {
    "identity_line_item_id": "abc",
    "identity_time_interval": "2026-11-03T04:00:00Z/2026-11-03T05:00:00Z",
    "line_item_line_item_type": "Usage",
    "line_item_usage_start_date": "2026-11-03T04:00:00.000Z",
    "line_item_usage_account_id": "11111111111",
    "line_item_usage_type": "USE1-NovaPro-input-tokens",
    "line_item_usage_amount": "1.5",
    "line_item_unblended_cost": "1.2E-3",
    "line_item_product_code": "AmazonBedrock",
    "line_item_iam_principal": "arn:aws:sts::111111111111:assumed-role/app/tnt_a",
    "product": '{"product_name": "Amazon Bedrock"}',
    "product_region_code": "us-east-1",
    "tags": '{"iamPrincipal/tid": "tnt_b", "user:team": "x"}',
    "resource_tags": "",
}


def line(**changes: Any) -> BillLine:
    return bill_line({**ROW, **changes})


def test_a_line_is_read() -> None:
    found = line()
    assert found.at == datetime(2026, 11, 3, 4, tzinfo=UTC)
    assert (found.account, found.cost) == ("011111111111", Decimal("0.0012"))
    assert (found.tagged("tid"), found.tagged("team"), found.session) == ("tnt_b", "x", "tnt_a")
    assert found.tagged("none") is None
    assert line(tags=None, line_item_iam_principal=None).session is None
    assert line(line_item_usage_start_date=datetime(2026, 11, 3, 4)).at == found.at  # noqa: DTZ001
    assert line(line_item_unblended_cost=0.1).cost == Decimal("0.1"), "of a double what it says"
    assert line(tags=[("tid", "y")]).tagged("tid") == "y", "as Parquet has maps"


def test_what_is_bedrocks() -> None:
    edition = '{"product_name": "Claude Sonnet 4.6 (Amazon Bedrock Edition)"}'
    other = {"line_item_product_code": "9xyz"}
    assert line(**other, product=edition).product == "Claude Sonnet 4.6"
    assert line(**other, product=edition).is_bedrock
    assert line(**other, product_servicecode="AmazonBedrockFoundationModels").is_bedrock
    assert not line(**other).is_bedrock


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"line_item_usage_amount": "many"}, "line_item_usage_amount is not a number"),
        ({"line_item_unblended_cost": "NaN"}, "not a finite number"),
        ({"line_item_unblended_cost": "1e400"}, "line_item_unblended_cost has too many digits"),
        ({"line_item_usage_amount": "1e-400"}, "line_item_usage_amount has too many digits"),
        ({"line_item_usage_start_date": "today"}, "is no instant"),
        ({"line_item_usage_start_date": "0001-01-01T00:00:00+05:00"}, "is no instant"),
        ({"line_item_currency_code": "EUR"}, "line_item_currency_code is EUR"),
        ({"tags": "{"}, "tags is not JSON"),
        ({"tags": "[1]"}, "tags is no map"),
    ],
)
def test_what_cannot_be_read_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BillError, match=message):
        line(**changes)


DAY, NEXT = date(2026, 11, 3), date(2026, 11, 4)
BEFORE, END = date(2026, 11, 2), date(2026, 11, 5)


def until(last: date | None) -> Window:
    """Of a bill of the day before the period until then."""
    return Window(DAY, END, None if last is None else BEFORE, last)


def key(day: date = DAY) -> UsageKey:
    return UsageKey("111111111111", "us-east-1", "m regional default out", day)


def ours(quantity: int, cost: str, late: int = 0, late_cost: str = "0") -> Booked:
    return Booked(quantity, Decimal(cost), late, Decimal(late_cost))


def theirs(quantity: int, cost: str) -> Billed:
    return Billed(Decimal(quantity), Decimal(cost), 1, {"t"}, ["id"])


def kinds(booked: dict[UsageKey, Booked], billed: dict[UsageKey, Billed]) -> list[str]:
    return [str(f.kind) for f in compared(booked, billed, until(END), BillTally())]


@pytest.mark.parametrize(
    ("booked", "billed", "found"),
    [
        (ours(1_000, "10"), theirs(1_000, "10.01"), []),
        (ours(1_000, "10"), theirs(1_000, "10.02"), ["mispriced"]),
        (ours(10**6, "1000"), theirs(10**6, "1001"), []),
        (ours(10**6, "1000"), theirs(10**6, "1001.01"), ["mispriced"]),
        (ours(1_000, "10"), theirs(900, "9"), ["missing"]),
        (ours(1_000, "10"), theirs(1_100, "11"), ["unattributed"]),
        (ours(1_000, "10"), None, ["missing"]),
        (None, theirs(1_000, "10"), ["unattributed"]),
        (ours(1, "0.0000001"), None, []),
        (ours(-5, "-1"), None, ["unattributed"]),  # a reversal of what was never billed
    ],
)
def test_a_day_is_judged(booked: Booked | None, billed: Billed | None, found: list[str]) -> None:
    left = {} if booked is None else {key(): booked}
    right = {} if billed is None else {key(): billed}
    assert kinds(left, right) == found


def test_what_the_tolerance_swallows_is_summed() -> None:
    tally = BillTally()
    booked, billed = {key(): ours(9, "1")}, {key(): theirs(9, "1.004")}
    assert list(compared(booked, billed, until(NEXT), tally)) == []
    assert (tally.matched, tally.within_tolerance_usd) == (1, Decimal("0.004"))
    assert tolerance(Decimal(-5_000)) == 5


def test_the_last_minutes_of_a_day_may_be_billed_in_the_next() -> None:
    def held(late_cost: str) -> list[str]:
        late = int(Decimal(late_cost) * 100)
        booked = {key(): ours(1_000, "10", late, late_cost), key(NEXT): ours(500, "5")}
        return kinds(booked, {key(): theirs(800, "8"), key(NEXT): theirs(700, "7")})

    assert held("2") == []
    assert held("3") == [], "no more is moved than lacks"
    assert held("0") == ["missing", "unattributed"]
    assert held("0.5") == ["missing", "unattributed"], "no more than there was so late"
    # From the day before the period into it.
    booked = {key(BEFORE): ours(1_000, "10", 200, "2"), key(): ours(500, "5")}
    assert kinds(booked, {key(BEFORE): theirs(800, "8"), key(): theirs(700, "7")}) == []


def test_what_no_bill_covers_yet_is_no_break() -> None:
    tally = BillTally()
    booked = {key(): ours(1_000, "10"), key(NEXT): ours(1_000, "10")}
    found = list(compared(booked, {}, until(DAY), tally))
    assert [(f.kind, f.day) for f in found] == [("missing", DAY)]
    assert (tally.not_yet_billed, tally.not_yet_billed_usd) == (1, 10)
    assert list(compared({key(): ours(1, "9")}, {}, until(None), tally)) == []


def test_tenants_are_held_with_the_edges_slack() -> None:
    booked = {"a": Decimal(10), "b": Decimal(5)}
    billed = {"a": Decimal(12), "b": Decimal(5), "c": Decimal(1)}
    found = list(tenant_differences(booked, billed, {"a": Decimal(2)}))
    assert [(f.id, f.difference_usd) for f in found] == [("c", 1)]
    assert len(list(tenant_differences(booked, billed, {}))) == 2


def test_what_is_beyond_the_tolerance_by_its_last_digit_is_told_with_it() -> None:
    beyond = Decimal("1.010000000000000000000000000000000000000001")
    over = Decimal("0.010000000000000000000000000000000000000001")
    found = compared(
        {key(): ours(9, "1")}, {key(): theirs(9, str(beyond))}, until(NEXT), BillTally()
    )
    assert [(f.kind, f.difference_usd) for f in found] == [("mispriced", over)]
    tenants = tenant_differences({"a": Decimal(1)}, {"a": beyond}, {})
    assert [f.difference_usd for f in tenants] == [over]
