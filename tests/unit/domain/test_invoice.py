"""A draft is a function of the ledger alone: rounded once a line, the same to the last bit."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.support.core import plan, principal

from tenantry.domain.invoice import draft
from tenantry.domain.period import billing_period
from tenantry.domain.tenant import Tenant
from tenantry.domain.usage_line import UsageLine

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PERIOD = billing_period(NOW, "UTC", 1)
LINES = [
    UsageLine("m", "uncached_in", 100, Decimal("0.0049999")),
    UsageLine("m", "out", 50, Decimal("0.005")),
    UsageLine("a", "out", 7, Decimal("1.234567891")),
    UsageLine("a", "out", 7, Decimal("-1.234567891")),  # its reversal
]


def tenant(fee: str = "0", currency: str = "USD") -> Tenant:
    return replace(principal().tenant, plan=plan(monthly_fee=fee), currency=currency)


def test_each_line_is_rounded_once_and_the_total_is_what_they_show() -> None:
    made = draft(tenant("50"), PERIOD, NOW, LINES)
    assert [format(line.amount, "f") for line in made.lines] == [
        "50.00", "-1.23", "1.23", "0.01", "0.00",
    ]  # fmt: skip
    assert made.total == Decimal("50.01")
    assert sum(line.charge for line in made.lines) == 50 + sum(line.charge for line in LINES)


@pytest.mark.parametrize(
    ("currency", "amounts"), [("JPY", ["0", "2"]), ("KWD", ["0.005", "1.500"])]
)
def test_case_23_lines_have_their_currencys_decimals(currency: str, amounts: list[str]) -> None:
    lines = [UsageLine("m", "out", 1, Decimal("0.005")), UsageLine("n", "out", 1, Decimal("1.5"))]
    made = draft(tenant(currency=currency), PERIOD, NOW, lines)
    assert [format(line.amount, "f") for line in made.lines] == amounts


def test_case_19_the_same_ledger_has_the_same_hash_in_any_order_at_any_time() -> None:
    first = draft(tenant("50"), PERIOD, NOW, LINES)
    for seed in range(20):
        shuffled = random.Random(seed).sample(LINES, len(LINES))
        later = draft(tenant("50.00"), PERIOD, datetime(2027, 1, 1, tzinfo=UTC), shuffled)
        assert later.sha256() == first.sha256()


@pytest.mark.parametrize(
    "change", [{"quantity": 101}, {"charge": Decimal("0.005")}, {"model": "n"}]
)
def test_another_ledger_has_another_hash(change: dict[str, object]) -> None:
    first = draft(tenant(), PERIOD, NOW, LINES)
    other = draft(tenant(), PERIOD, NOW, [replace(LINES[0], **change), *LINES[1:]])  # type: ignore[arg-type]
    assert other.sha256() != first.sha256()


def test_two_tenants_never_share_a_hash() -> None:
    mine = draft(tenant(), PERIOD, NOW, LINES)
    other = draft(replace(tenant(), id=principal("bolt").tenant_id), PERIOD, NOW, LINES)
    assert mine.sha256() != other.sha256()


def test_a_tenant_reads_nothing_of_our_cost() -> None:
    text = str(draft(tenant("50"), PERIOD, NOW, LINES).to_json()).lower()
    assert "cost" not in text
    assert "markup" not in text


def test_a_plans_overage_and_minimum_take_the_place_of_its_list_charge() -> None:
    terms = {"mode": "volume", "included": 100, "steps": [{"per_million": "2000"}]}
    of = replace(principal().tenant, plan=plan(monthly_fee="1", minimum="2", overage=terms))
    made = draft(of, PERIOD, NOW, [*LINES, UsageLine("a", "image", 2, Decimal("0.0849"))])
    assert [(line.kind, line.quantity, format(line.amount, "f")) for line in made.lines] == [
        ("fee", 1, "1.00"),
        ("usage", 2, "0.08"),
        ("included", 100, "0.00"),
        ("overage", 64, "0.13"),  # 100 + 50 + 7 + 7 − 100 at 2,000 a million
        ("minimum", 1, "0.79"),
    ]
    shown = made.to_json()
    assert shown["total"] == "2.00"
    assert shown["lines"][3]["charge"] == "0.128"
