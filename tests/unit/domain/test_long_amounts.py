"""Amounts of more digits than Python's decimals keep by themselves, through all that moves money.

A price and a markup of twelve decimals give a list charge of thirty, a rate makes that forty-two.
Python's operators, the sign too, round to 28 digits: each property here holds to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tenantry.adapters.postgres.budget_rows import to_limit
from tenantry.domain import money
from tenantry.domain.agreement import Agreement
from tenantry.domain.allocation import allocate
from tenantry.domain.archive import Tally
from tenantry.domain.billing import Statement, statement
from tenantry.domain.contract import Contract, ExchangeRate, Terms
from tenantry.domain.credit_note import Credited, credit_note
from tenantry.domain.economics import Scenario, economics
from tenantry.domain.focus import Row, focus_rows
from tenantry.domain.invoice import Made, document
from tenantry.domain.late_usage import Closed, EarlierPeriod, late_of
from tenantry.domain.margin import Books, MarginBy, margin_report
from tenantry.domain.overage import Overage
from tenantry.domain.party import Issuer, Party
from tenantry.domain.period import billing_period
from tenantry.domain.postings import Transfer, credit_note_transfers, invoice_transfers
from tenantry.domain.shared_costs import AllocationKey, SharedCost, SharedCosts
from tenantry.domain.tenant_months import TenantMonth, standings_of
from tenantry.domain.tiers import Step, Tiers
from tenantry.domain.usage_line import UsageLine

NOVEMBER = billing_period(datetime(2026, 11, 23, tzinfo=UTC), "UTC", 1)
OCTOBER = billing_period(datetime(2026, 10, 23, tzinfo=UTC), "UTC", 1)
ISSUER = Issuer(Party("Lumen", ("500 Howard St",)))
STEPS = Tiers("graduated", (Step(1_000, Decimal("20.000000000001")), Step(None, Decimal("8.1"))))


def decimals(least: int, most: int, places: int) -> st.SearchStrategy[Decimal]:
    """All with so many places, none of which is rounded away."""
    return st.integers(least * 10**places, most * 10**places).map(
        lambda units: Decimal(f"{units}E-{places}")
    )


CHARGES = decimals(-(10**9), 10**9, 30)
LONG = decimals(-(10**12), 10**12, 42)
SHARED = decimals(0, 10**12, 42)
RATES = decimals(0, 2, 12).filter(bool)
ROWS = st.lists(
    st.builds(
        UsageLine,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["out", "uncached_in", "rerank_units"]),
        st.integers(1, 10**7),
        CHARGES,
        st.none() | decimals(0, 10**3, 24),
    ),
    max_size=4,
)
CURRENCIES = st.sampled_from(["USD", "GBP", "JPY"])


def exact(amounts: Iterable[Decimal]) -> Fraction:
    return sum(map(Fraction, amounts), Fraction())


@st.composite
def statements(draw: st.DrawFn) -> tuple[Statement, Decimal]:
    """With the list charges of all usage that is on it, in USD."""
    currency, rate = draw(CURRENCIES), draw(RATES)
    rates = tuple(
        ExchangeRate(date(2026, 1, 1), "USD", quote, rate, "simulated") for quote in ("GBP", "JPY")
    )
    terms = Terms(
        date(2026, 1, 1),
        "p",
        draw(decimals(0, 100, 12)),
        draw(st.sampled_from([None, Overage(500, STEPS)])),
        draw(decimals(0, 300, 12)),
    )
    tax = draw(decimals(0, 1, 12).filter(lambda rate: rate < 1))
    contract = Contract("UTC", (terms,), currency=currency, tax_rate=tax, rates=rates)
    usage, before, late = draw(ROWS), draw(ROWS), draw(ROWS)
    earlier = EarlierPeriod(OCTOBER, before, late, Closed(None, rates))
    made = statement(contract, NOVEMBER, usage, late_of(contract, [earlier]))
    return made, money.total(row.charge for row in (*usage, *late))


def moved(transfers: Sequence[Transfer], account: str, currency: str) -> Fraction:
    of = [each for each in transfers if each.currency == currency]
    debits = exact(each.amount for each in of if each.debit == account)
    return debits - exact(each.amount for each in of if each.credit == account)


@given(statements())
def test_what_is_posted_explains_what_is_invoiced(made: tuple[Statement, Decimal]) -> None:
    stated, listed = made
    transfers = invoice_transfers(stated, listed)
    left = moved(transfers, "receivable_unbilled", stated.currency)
    if stated.rate is None:
        assert left == -Fraction(listed)
    else:
        converted = Fraction(listed) * Fraction(stated.rate.rate)
        assert left == 0
        assert moved(transfers, "exchange", stated.currency) == -converted
        assert moved(transfers, "receivable_unbilled", "USD") == -Fraction(listed)
    assert moved(transfers, "receivable", stated.currency) == Fraction(stated.due)


@given(statements())
def test_a_statements_sums_are_exact(made: tuple[Statement, Decimal]) -> None:
    stated = made[0]
    net = exact(line.amount for line in stated.lines)
    assert Fraction(stated.subtotal) + Fraction(stated.true_up) == net
    charges = Fraction(stated.charges) + Fraction(stated.late_charges)
    assert Fraction(stated.adjustment) == net - charges
    assert Fraction(stated.due) == net + Fraction(stated.tax) - Fraction(stated.credit)


@given(ROWS, ROWS, RATES)
def test_what_settles_late_is_what_it_adds(
    before: list[UsageLine], late: list[UsageLine], rate: Decimal
) -> None:
    rates = (ExchangeRate(date(2026, 1, 1), "USD", "GBP", rate, "simulated"),)
    terms = Terms(date(2026, 1, 1), "p", Decimal(0))
    contract = Contract("UTC", (terms,), currency="GBP", rates=rates)
    found = late_of(contract, [EarlierPeriod(OCTOBER, before, late, Closed(None, rates))])
    assert Fraction(found.charges) == exact(row.charge for row in late) * Fraction(rate)
    assert sum((line.exact for line in found.lines), Fraction()) == Fraction(found.charges)


def invoiced(stated: Statement) -> dict[str, Any]:
    made = Made(
        tenant_id="tnt_a",
        agreement=Agreement(Party("Acme", ("1 Main Street",)), currency=stated.currency),
        zone="UTC",
        period=NOVEMBER,
        statement=stated,
        watermark=NOVEMBER.end,
        issuer=ISSUER,
        number="INV-2026-000001",
        issued_at=NOVEMBER.end,
    )
    return document(made)


@given(statements())
def test_focus_has_the_exact_charge_of_every_line(made: tuple[Statement, Decimal]) -> None:
    invoice = invoiced(made[0])
    invoice["tax"]["rate"] = "0.081"
    rows = focus_rows(invoice)
    base = Fraction()
    for row, line in zip(rows, invoice["lines"], strict=False):
        assert row["ListCost"] == row["ContractedCost"]
        assert Fraction(row["ListCost"] or "") == Fraction(line["charge"]), line["kind"]
        assert Fraction(row["BilledCost"] or "") == Fraction(line["amount"])
        assert priced(row) == Fraction(line["charge"])
        base += Fraction(line["charge"])
    [tax] = [row for row in rows if row["ChargeCategory"] == "Tax"]
    assert Fraction(tax["ListCost"] or "") == base * Fraction("0.081")


def priced(row: Row) -> Fraction:
    """A cost without a unit price has to be BilledCost; none here is such a cost."""
    return Fraction(row["ListUnitPrice"] or "") * Fraction(row["PricingQuantity"] or "")


@given(decimals(0, 10**30, 2).filter(bool), decimals(0, 10**30, 2), decimals(0, 10**30, 2))
def test_a_credit_note_gives_back_to_the_last_digit(
    net: Decimal, tax: Decimal, credit: Decimal
) -> None:
    total = money.total((net, tax))
    assume(credit <= total)
    invoice = {
        "number": "INV-1", "currency": "USD", "zone": "UTC", "true_up": "0.00",
        "subtotal": f"{net:f}",
        "tax": {"rate": "0.1", "amount": f"{tax:f}"}, "total": f"{total:f}",
        "credit": f"{credit:f}", "due": f"{money.EXACT.subtract(total, credit):f}",
    }  # fmt: skip
    none = Credited(money.ZERO, money.ZERO, money.ZERO)
    note, given_back = credit_note(invoice, ISSUER, "CN-1", NOVEMBER.end, none, None, "outage")
    assert Fraction(note["subtotal"]) == Fraction(note["lines"][0]["charge"]) == -Fraction(net)
    assert Fraction(note["total"]) == -Fraction(total)
    assert Fraction(note["credit"]) == -Fraction(credit)
    assert Fraction(note["due"]) == Fraction(credit) - Fraction(total)
    transfers = credit_note_transfers(given_back, "USD")
    assert moved(transfers, "receivable_unbilled", "USD") == 0
    assert moved(transfers, "receivable", "USD") == Fraction(note["due"])


@given(
    st.lists(st.tuples(LONG, CHARGES, CHARGES, CHARGES), min_size=1, max_size=5),
    RATES,
    decimals(0, 10**12, 42),
)
def test_every_column_of_a_margin_sums_to_its_total(
    groups: list[tuple[Decimal, Decimal, Decimal, Decimal]], rate: Decimal, shared: Decimal
) -> None:
    books = [
        Books(f"tenant {number}", {"GBP": revenue}, cost=cost, retries=again, abandoned=lost)
        for number, (revenue, cost, again, lost) in enumerate(groups)
    ]
    costs = SharedCosts(
        (SharedCost("database", shared, AllocationKey.EQUAL),),
        fee_rate=Decimal("0.029"),
        fee_each=Decimal("0.300000000001"),
        usd_per={"GBP": rate},
    )
    made = margin_report(MarginBy.TENANT, books, [each.earned for each in books], costs)
    for row in (*made.rows, made.total):
        spent = exact((row.provider_cost, row.waste, row.shared, row.fees))
        assert Fraction(row.contribution) == Fraction(row.revenue) - spent
    contributions = exact(row.contribution for row in made.rows)
    assert Fraction(made.total.contribution) == contributions
    revenues = [Fraction(row.revenue) for row in made.rows]
    assert revenues == sorted(revenues, reverse=True)


@given(LONG.filter(lambda amount: amount > 0), st.lists(CHARGES, min_size=1, max_size=9))
def test_the_parts_of_a_long_amount_sum_to_it(amount: Decimal, weights: list[Decimal]) -> None:
    parts = allocate(amount, {str(number): weight for number, weight in enumerate(weights)})
    assert exact(parts.values()) == Fraction(amount)
    assert all(part >= 0 for part in parts.values())


@given(st.lists(LONG, min_size=1, max_size=6))
def test_both_accounts_of_an_archived_book_sum_to_nothing(amounts: list[Decimal]) -> None:
    tally = Tally()
    for amount in amounts:
        row = {
            "tenant_id": "tnt_a", "request_id": "r", "currency": "USD", "debit": "a",
            "credit": "b", "amount": str(amount), "amounts": [str(amount)],
            "token_classes": ["out"], "quantities": [1],
        }  # fmt: skip
        tally.add("charge", row)
    [found] = tally._sums.values()
    assert Fraction(found.accounts["a"]) == exact(amounts) == -Fraction(found.accounts["b"])


@given(LONG, LONG, LONG)
def test_what_a_budget_has_left_is_exact(limit: Decimal, settled: Decimal, held: Decimal) -> None:
    row = {
        "subject": "plan", "period": "month", "basis": "charge", "amount": limit,
        "currency": "GBP", "hard": True, "settled": settled, "reserved": held,
        "resets_at": None, "set_by": None,
    }  # fmt: skip
    shown = to_limit(row)
    assert Fraction(shown["used"]) == exact((settled, held))
    assert Fraction(shown["remaining"]) == max(Fraction(limit) - exact((settled, held)), 0)


@given(CHARGES, CHARGES, RATES)
def test_a_months_contribution_is_exact(charges: Decimal, cost: Decimal, rate: Decimal) -> None:
    month = TenantMonth("tnt_a", "acme", date(2026, 10, 1), cost, charges, "GBP", silo=False)
    found = standings_of([month], NOVEMBER.start, (), {"GBP": rate})["acme"].contribution
    assert found is not None
    assert Fraction(found) == Fraction(charges) * Fraction(rate) - Fraction(cost)


def test_a_scenarios_figures_are_exact() -> None:
    price = Decimal("1234567890.123456789012")
    figures = economics(Scenario(customers=123_456_789, price_in=price, price_out=price))
    spent = exact((figures.model_cost, figures.waste, figures.fees))
    assert Fraction(figures.contribution) == Fraction(figures.revenue) - spent
    fixed = Fraction(figures.fixed_cost)
    assert Fraction(figures.profit) == Fraction(figures.contribution) - fixed


@given(LONG, LONG, st.integers(-40, 40))
def test_signs_differences_and_points_are_exact(left: Decimal, right: Decimal, by: int) -> None:
    assert Fraction(money.minus(left)) == -Fraction(left)
    assert Fraction(money.absolute(left)) == abs(Fraction(left))
    assert Fraction(money.less(left, right, right)) == Fraction(left) - 2 * Fraction(right)
    assert Fraction(money.shifted(left, by)) == Fraction(left) * Fraction(10) ** by
    for nothing in (money.less(left, left), money.minus(Decimal("0.00"))):
        assert not nothing and not nothing.is_signed()


def test_what_is_rounded_is_rounded_once_and_half_up() -> None:
    long = Decimal("0.5049999999999999999999999999999999999999")
    assert money.rounded(long, Decimal("0.01")) == Decimal("0.50")
    assert money.rounded(Decimal("-0.005"), Decimal("0.01")) == Decimal("-0.01")
    assert money.ratio(Decimal(1), Decimal(3)) == Decimal("0." + "3" * 120)


def test_what_a_minimum_covers_of_a_long_late_charge_is_given_back() -> None:
    charge = Decimal("50.000000000000000000000000000001")
    agreed = Contract("UTC", (Terms(date(2026, 1, 1), "p", money.ZERO, None, Decimal(100)),))
    row = UsageLine("a", "out", 1, charge, None)
    found = late_of(agreed, [EarlierPeriod(OCTOBER, [], [row], Closed(None, ()))])
    assert [line.amount for line in found.lines] == [Decimal("50.00"), Decimal("-50.00")]
    assert found.charges == charge
