"""The margin report's arithmetic: columns sum to totals, keys are applied, currencies converted."""

from decimal import Decimal

import pytest

from tenantry.domain.margin import Books, MarginBy, MarginError, MarginReport, margin_report
from tenantry.domain.shared_costs import (
    AllocationKey,
    SharedCostsError,
    shared_costs_from_toml,
)

BOOKS = [
    Books("acme", {"USD": Decimal("300.000001")}, cost=Decimal(100), retries=Decimal("1.5"),
          requests=10, tokens=1_000),
    Books("bolt", {"USD": Decimal(100), "EUR": Decimal(50)}, cost=Decimal(60),
          abandoned=Decimal(2), requests=20, tokens=2_000),
    Books("idle", cost=Decimal(0), requests=3, tokens=0),
]  # fmt: skip
PAID = [each.earned for each in BOOKS]
COSTS = """
allocate_by = "tokens"
[[shared]]
name = "database"
usd = "100"
[[shared]]
name = "support"
usd = "10"
allocate_by = "equal"
[[shared]]
name = "gateway"
usd = "33"
allocate_by = "requests"
[payment_fees]
rate = "0.029"
each_usd = "0.30"
[usd_per]
EUR = "1.10"
"""


def report(costs: str = COSTS, by: MarginBy = MarginBy.TENANT) -> MarginReport:
    return margin_report(by, BOOKS, PAID, shared_costs_from_toml(costs))


def test_the_lines_follow_their_keys() -> None:
    acme, bolt, idle = report().rows
    assert (acme.name, bolt.name, idle.name) == ("acme", "bolt", "idle")
    assert bolt.revenue == Decimal("155.00")  # 100 + 50 EUR at 1.10
    # tokens 1:2:0 of 100, equal thirds of 10, requests 10:20:3 of 33
    assert acme.shared == Decimal("33.333333") + Decimal("3.333334") + 10
    assert bolt.shared == Decimal("66.666667") + Decimal("3.333333") + 20
    assert idle.shared == Decimal("3.333333") + 3
    assert acme.fees == Decimal("300.000001") * Decimal("0.029") + Decimal("0.30")
    assert idle.fees == 0
    assert acme.waste == Decimal("1.5") and bolt.waste == 2
    expected = Decimal("300.000001") - 100 - Decimal("1.5") - acme.shared - acme.fees
    assert acme.contribution == expected
    assert str(acme.margin_percent) == "47.6"
    assert idle.margin_percent is None


@pytest.mark.parametrize("by", list(MarginBy))
def test_every_column_sums_to_its_total(by: MarginBy) -> None:
    made = report(by=by)
    for column in ("revenue", "provider_cost", "waste", "shared", "fees", "contribution"):
        parts = [getattr(row, column) for row in made.rows]
        assert sum(parts) == getattr(made.total, column), column
    assert made.total.shared == 143
    assert [(line.name, line.key) for line in made.shared] == [
        ("database", AllocationKey.TOKENS),
        ("support", AllocationKey.EQUAL),
        ("gateway", AllocationKey.REQUESTS),
    ]


def test_flat_fees_are_shared_by_revenue_where_no_tenant_is_told_apart() -> None:
    made = report('[payment_fees]\neach_usd = "0.30"\n[usd_per]\nEUR = "1"', MarginBy.MODEL)
    assert made.total.fees == Decimal("0.60")
    assert made.rows[0].fees == Decimal("0.400000")  # 300.000001 of 450.000001


@pytest.mark.parametrize("by", list(MarginBy))
def test_who_brought_nothing_in_the_end_costs_no_fee_however_it_is_grouped(by: MarginBy) -> None:
    """One was given back all that it was charged; one was charged a fee alone."""
    books = [
        Books("given back", {"USD": Decimal(40)}, {"USD": Decimal(-40)}),
        Books("plan alone", invoiced={"USD": Decimal(20)}),
    ]
    costs = shared_costs_from_toml('[payment_fees]\neach_usd = "0.30"')
    made = margin_report(by, books, [each.earned for each in books], costs)
    assert (made.payers, made.total.fees) == (1, Decimal("0.30"))
    assert {row.name: row.fees for row in made.rows} == {
        "given back": 0, "plan alone": Decimal("0.30"),
    }  # fmt: skip


def test_a_currency_without_a_rate_is_no_guess() -> None:
    with pytest.raises(MarginError, match=r"usd_per\.EUR"):
        report("")


def test_what_nobody_used_costs_all_the_same() -> None:
    made = margin_report(MarginBy.TENANT, [], [], shared_costs_from_toml(COSTS))
    [row] = made.rows
    assert (row.name, row.shared, made.total.contribution) == ("(nobody)", 143, -143)
    assert margin_report(MarginBy.TENANT, [], [], shared_costs_from_toml("")).rows == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[shared]]\nname='x'\nusd=5", "plain decimal in a string"),
        ("[[shared]]\nname='x'\nusd='-5'", "plain decimal"),
        ("[[shared]]\nname='x'\nusd='NaN'", "plain decimal"),
        ("[[shared]]\nusd='5'", "name is missing"),
        ("[[shared]]\nname='x'\nuds='5'", "unknown name 'uds'"),
        ("[[shared]]\nname='x'\nusd='5'\nallocate_by='guess'", "is one of tokens"),
        ("[payment_fees]\nrate='1.5'", "at most 1"),
        ("[usd_per]\nEURO='1'", "no currency"),
        ("shared = 3", r"\[\[shared\]\]"),
        ("shared", "not TOML"),
    ],
)
def test_a_wrong_bill_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(SharedCostsError, match=message):
        shared_costs_from_toml(text)
