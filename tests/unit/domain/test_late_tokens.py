"""Late tokens that steps price say a price where one step priced all of them, and no other."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tenantry.domain.agreement import Agreement
from tenantry.domain.billing import statement
from tenantry.domain.contract import Contract, Terms
from tenantry.domain.focus import focus_rows
from tenantry.domain.invoice import Document, Made, document
from tenantry.domain.invoice_edition import PRESENT, Edition, edition_of
from tenantry.domain.late_usage import Closed, EarlierPeriod, late_of
from tenantry.domain.overage import overage_from
from tenantry.domain.party import Party
from tenantry.domain.period import billing_period
from tenantry.domain.usage_line import UsageLine

OCTOBER, NOVEMBER = (
    billing_period(datetime(2026, month, 15, tzinfo=UTC), "UTC", 1) for month in (10, 11)
)
AT = datetime(2026, 12, 5, tzinfo=UTC)
M = 1_000_000


def tokens(quantity: int) -> UsageLine:
    return UsageLine("m", "out", quantity, Decimal(quantity * 15) / M, Decimal(15))


def made(
    invoiced: int, late: int, *, mode: str, included: int = 0, edition: Edition = PRESENT
) -> Document:
    """The first 4 million at 10, 4 million at 8 or 5, what is beyond at 5."""
    middle = "8" if mode == "graduated" else "5"
    steps: dict[str, Any] = {
        "mode": mode,
        "included": included,
        "steps": [
            {"up_to": 4 * M, "per_million": "10"},
            {"up_to": 8 * M, "per_million": middle},
            {"per_million": "5"},
        ],
    }
    contract = Contract(
        "UTC", (Terms(date(2026, 1, 1), "p", Decimal(0), overage_from("p", steps)),)
    )
    earlier = EarlierPeriod(OCTOBER, [tokens(invoiced)], [tokens(late)], Closed(None, ()))
    of = statement(contract, NOVEMBER, [], late_of(contract, [earlier], edition=edition))
    agreement = Agreement(Party("Acme", ("1 Main Street",)))
    return document(
        Made("tnt_1", agreement, "UTC", NOVEMBER, of, AT, number="INV-2026-000041", issued_at=AT,
             edition=edition)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "included", "invoiced", "late", "price", "charge"),
    [
        ("graduated", 0, M, M, "10", "10"),
        ("graduated", 0, 4 * M, M, "8", "8"),
        ("graduated", 0, 5 * M, -M, "8", "-8"),
        ("graduated", 0, 3 * M, 2 * M, None, "18"),  # 9 a million on the whole
        ("graduated", 0, 5 * M, -2 * M, None, "-18"),
        ("graduated", 2 * M, M, M, "0", "0"),
        ("graduated", 2 * M, M, 2 * M, None, "10"),
        ("volume", 0, M, 2 * M, "10", "20"),
        ("volume", 0, 4 * M, 4 * M, None, "0"),  # 4 million at 10, then 8 at 5
        ("volume", 0, 4 * M, M, None, "-15"),
        ("volume", 0, 5 * M, 9 * M, "5", "45"),  # in two steps of one price
    ],
)
def test_late_tokens_have_the_price_of_the_one_step_that_priced_them(
    mode: str, included: int, invoiced: int, late: int, price: str | None, charge: str
) -> None:
    shown = made(invoiced, late, mode=mode, included=included)
    [line] = shown["lines"]
    told = (line["quantity"], line["unit_price"], line["charge"])
    assert (int(told[0]), *told[1:]) == (late, price, charge)
    row, *_ = focus_rows(shown)
    names = ("PricingUnit", "PricingQuantity", "ListUnitPrice", "ListCost")
    unit, *figures = (row[name] for name in names)
    of_all = (-1 if Decimal(charge) < 0 else 1, abs(Decimal(charge)))
    expected = of_all if price is None else (Decimal(late) / M, Decimal(price))
    assert unit == ("Units" if price is None else "1000000 Tokens")
    assert [Decimal(each or "") for each in figures] == [*expected, Decimal(charge)]


def test_in_documents_of_before_late_tokens_say_no_price() -> None:
    now = made(M, M, mode="graduated")
    before = made(M, M, mode="graduated", edition=Edition.NOTHING_UNTAXED)
    assert (edition_of(now), edition_of(before)) == (PRESENT, Edition.NOTHING_UNTAXED)
    assert before["lines"][0]["unit_price"] is None
    assert now["lines"][0] | {"unit_price": None} == before["lines"][0]
    assert now["due"] == before["due"]
    [row] = focus_rows(before)
    assert (row["PricingUnit"], row["ListUnitPrice"]) == ("Units", "10.0")
