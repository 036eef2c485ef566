"""What changed within a period: at what time a price did, and whose fee is given back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.agreement import Agreement
from tenantry.domain.billing import Statement, statement
from tenantry.domain.contract import Contract, Terms
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import Document, Made, document
from tenantry.domain.invoice_edition import PRESENT, Edition, edition_of
from tenantry.domain.invoice_sheet import sheet_of
from tenantry.domain.party import Party
from tenantry.domain.period import billing_period
from tenantry.domain.usage_line import PricedAs, UsageLine

OCTOBER = billing_period(datetime(2026, 10, 15, tzinfo=UTC), "UTC", 1)
NOW = datetime(2026, 11, 2, tzinfo=UTC)
BEFORE = Edition.TAXED_BY_PERIOD
SAME = (
    Terms(date(2026, 1, 1), "a", Decimal(30)),
    Terms(date(2026, 10, 10), "b", Decimal(30)),
    Terms(date(2026, 10, 20), "c", Decimal(0)),
)
NOON = datetime(2026, 10, 12, 12, tzinfo=UTC)
DEARER = UsageLine("m", "out", 1_000_000, Decimal(20), Decimal(20), PricedAs(since=NOON))
CHEAPER = UsageLine(
    "m", "out", 1_000_000, Decimal(10), Decimal(10),
    PricedAs(since=NOON + timedelta(seconds=93)),
)  # fmt: skip


def stated(
    terms: tuple[Terms, ...], usage: list[UsageLine] | None = None, edition: Edition = PRESENT
) -> Statement:
    contract = Contract("UTC", terms, tax_rate=Decimal("0.077"))
    return statement(contract, OCTOBER, usage or [], edition=edition)


def made(of: Statement, edition: Edition = PRESENT) -> Document:
    agreement = Agreement(Party("Acme"), tax_rate=Decimal("0.077"))
    names = ({"plan": each.plan, "version": 1, "from": str(each.starts)} for each in SAME)
    return document(
        Made(
            "tnt_1", agreement, "UTC", OCTOBER, of, NOW, issued_at=NOW, number="INV-1",
            plan_versions=list(names), edition=edition,
        )
    )  # fmt: skip


def test_a_fee_is_given_back_in_the_name_of_the_plan_that_asked_it() -> None:
    now = stated(SAME)
    assert [(line.description, format(line.amount, "f")) for line in now.lines] == [
        ("Plan a", "30.00"),
        ("Plan a, 22 of 31 days from 2026-10-10, credited", "-21.29"),
        ("Plan b, 22 of 31 days from 2026-10-10", "21.29"),
        ("Plan b, 12 of 31 days from 2026-10-20, credited", "-11.61"),
    ]
    before = stated(SAME, edition=BEFORE)
    assert [line.description for line in before.lines] == [
        "Plan a", "Plan b, 12 of 31 days from 2026-10-20, credited",
    ]  # fmt: skip
    assert (now.subtotal, now.tax, now.total) == (before.subtotal, before.tax, before.total)
    by_plan: dict[str, Decimal] = defaultdict(Decimal)
    for row in focus_rows(made(now)):
        if str(row["SkuId"]).startswith("plan/"):
            by_plan[str(row["SkuId"])] += Decimal(row["BilledCost"] or "")
    assert by_plan == {"plan/a": Decimal("8.71"), "plan/b": Decimal("9.68")}


def test_another_version_of_a_plan_at_the_same_fee_is_no_turn() -> None:
    renewed = (SAME[0], replace(SAME[1], plan="a"))
    assert [line.description for line in stated(renewed).lines] == ["Plan a"]


plans = st.lists(
    st.tuples(
        st.integers(2, 31),
        st.sampled_from("abc"),
        st.sampled_from(["0", "10", "29.99", "30"]).map(Decimal),
    ),
    max_size=6,
    unique_by=lambda turn: turn[0],
)


@given(plans, st.sampled_from([None, date(2026, 10, 25)]))
def test_what_a_period_comes_to_is_what_it_was_and_no_plan_gives_back_more_than_it_asked(
    turns: list[tuple[int, str, Decimal]], ends: date | None
) -> None:
    later = (Terms(date(2026, 10, day), name, fee) for day, name, fee in sorted(turns))
    terms = (SAME[0], *(each for each in later if ends is None or each.starts < ends))
    contract = Contract("UTC", terms, ends=ends)
    now, before = (statement(contract, OCTOBER, [], edition=e) for e in (PRESENT, BEFORE))
    assert now.total == before.total
    held: dict[str, Fraction] = defaultdict(Fraction)
    for line in now.lines:
        held[line.description.removeprefix("Plan ")[0]] += line.exact
    assert all(exact >= 0 for exact in held.values())


def test_lines_of_prices_that_changed_twice_on_a_day_say_when_and_stand_in_that_order() -> None:
    usage = [CHEAPER, DEARER]
    now = made(stated(SAME[:1], usage))
    words = ["prices from 2026-10-12 12:00:00", "prices from 2026-10-12 12:01:33"]
    assert [line["description"] for line in now["lines"][1:]] == [
        f"m: output tokens, {word}" for word in words
    ]
    assert [line["unit_price"] for line in now["lines"][1:]] == ["20", "10"]
    assert [word in str(sheet_of(now)) for word in words] == [True, True]
    before = made(stated(SAME[:1], usage, BEFORE), BEFORE)
    assert [line["unit_price"] for line in before["lines"][1:]] == ["10", "20"]
    assert {line["description"] for line in before["lines"][1:]} == {"m: output tokens"}, (
        "of one day, nothing tells them apart"
    )
    assert "12:00:00" not in str(sheet_of(before)["groups"])


@pytest.mark.parametrize("edition", list(Edition)[2:])
def test_a_document_says_by_which_edition_it_was_made(edition: Edition) -> None:
    shown: dict[str, Any] = made(stated(SAME, [DEARER], edition), edition)
    told = edition >= Edition.CHANGES_TOLD
    assert shown.get("edition") == (int(edition) if told else None)
    assert edition_of(shown) is (edition if told else Edition.PERIODS_TOLD)


@pytest.mark.parametrize("odd", ["5", 99, None])
def test_an_edition_that_nobody_knows_is_not_taken_for_one(odd: object) -> None:
    shown = made(stated(SAME))
    assert edition_of({**shown, "edition": odd}) is Edition.PERIODS_TOLD
