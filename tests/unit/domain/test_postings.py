"""From a statement to the billing book: what is owed is explained, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain import money
from tenantry.domain.billing import Statement, statement
from tenantry.domain.contract import Contract, ExchangeRate, Terms
from tenantry.domain.credit_note import Credited
from tenantry.domain.late_usage import Closed, EarlierPeriod, late_of
from tenantry.domain.overage import Overage
from tenantry.domain.period import billing_period
from tenantry.domain.postings import (
    EXCHANGE,
    PREPAID,
    RECEIVABLE,
    TAX,
    UNBILLED,
    Transfer,
    credit_note_transfers,
    grant_transfer,
    invoice_transfers,
)
from tenantry.domain.tiers import Step, Tiers
from tenantry.domain.usage_line import UsageLine

NOVEMBER = billing_period(datetime(2026, 11, 23, tzinfo=UTC), "UTC", 1)
OCTOBER = billing_period(datetime(2026, 10, 23, tzinfo=UTC), "UTC", 1)
STEPS = Tiers("graduated", (Step(1_000, Decimal(20)), Step(None, Decimal(8))))
RATE = ExchangeRate(date(2026, 1, 1), "USD", "EUR", Decimal("0.9"), "ECB")
ROWS = st.lists(
    st.builds(
        UsageLine,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["out", "uncached_in", "rerank_units"]),
        st.integers(1, 10**7),
        st.decimals(0, 10**3, places=9),
        st.just(Decimal(9)),
    ),
    max_size=5,
)


def totals(transfers: Sequence[Transfer], account: str) -> Decimal:
    """The movement of an account, over all currencies of the transfers."""
    return money.total(
        money.total(
            (each.amount if each.debit == account else money.ZERO,
             money.minus(each.amount) if each.credit == account else money.ZERO)
        )
        for each in transfers
    )  # fmt: skip


def contract(**fields: object) -> Contract:
    terms = (Terms(date(2026, 1, 1), "p", Decimal(99), fields.pop("overage", None),
                   fields.pop("minimum", Decimal(0))),)  # type: ignore[arg-type]  # fmt: skip
    return Contract("UTC", terms, **{"tax_rate": Decimal("0.0825"), **fields})  # type: ignore[arg-type]


def october(invoiced: list[UsageLine], late: list[UsageLine], closed: Contract) -> EarlierPeriod:
    """As it was closed under a contract."""
    return EarlierPeriod(OCTOBER, invoiced, late, Closed(closed.ends, closed.rates))


@given(ROWS, ROWS, st.booleans(), st.sampled_from(["USD", "EUR"]), st.decimals(0, 500, places=2))
def test_charges_and_adjustments_are_what_is_invoiced(
    usage: list[UsageLine], late: list[UsageLine], steps: bool, currency: str, minimum: Decimal
) -> None:
    agreed = contract(
        overage=Overage(500, STEPS) if steps else None,
        minimum=minimum,
        currency=currency,
        rates=(RATE,),
        prepaid=Decimal(20),
    )
    made = statement(agreed, NOVEMBER, usage, late_of(agreed, [october([], late, agreed)]))
    listed = money.total(row.charge for row in (*usage, *late))
    transfers = invoice_transfers(made, listed)
    in_currency = [each for each in transfers if each.currency == currency]
    converted = listed if currency == "USD" else money.times(listed, RATE.rate)
    # In its own currency nothing stays unbilled but what the ledger holds by itself.
    left = money.total((totals(in_currency, UNBILLED), converted if currency == "USD" else 0))
    assert left == 0
    assert totals(in_currency, RECEIVABLE) == made.due
    assert totals(in_currency, TAX) == -made.tax
    assert totals(in_currency, PREPAID) == made.credit
    if currency != "USD":
        in_usd = [each for each in transfers if each.currency == "USD"]
        assert totals(in_usd, UNBILLED) == -listed == -totals(in_usd, EXCHANGE)
        assert totals(in_currency, EXCHANGE) == -converted
    assert all(each.amount for each in transfers)


def of_statement(made: Statement) -> list[tuple[str, str]]:
    return [(str(line.kind), format(line.amount, "f")) for line in made.lines]


def test_late_usage_fills_no_minimum_and_uses_up_no_allowance_of_this_period() -> None:
    agreed = contract(overage=Overage(500, STEPS), minimum=Decimal(150))
    row = UsageLine("a", "out", 1_000_500, Decimal(1), Decimal(9))
    before = statement(agreed, OCTOBER, [row])
    assert of_statement(before)[-1] == ("minimum", "42.99")  # 99 + .02 + 7.99 (of 1,000 and rest)
    late = late_of(agreed, [october([row], [row], agreed)])
    # 1,000,500 more at 8 a million; the minimum had been paid up to more than that.
    assert [format(line.amount, "f") for line in late.lines] == ["8.00", "-8.00"]
    made = statement(agreed, NOVEMBER, [], late)
    assert of_statement(made) == [
        ("fee", "99.00"),
        ("adjustment", "8.00"),
        ("adjustment", "-8.00"),
        ("minimum", "51.00"),
    ]
    assert made.true_up == 51


def test_a_reversal_under_a_minimum_gives_nothing_back_and_one_above_it_only_that() -> None:
    row, gone = (
        UsageLine("a", "out", n, Decimal(charge), Decimal(9)) for n, charge in ((9, 60), (-4, -20))
    )
    for minimum, shown in (("200", ["-20.00", "20.00"]), ("150", ["-20.00", "11.00"]),
                           ("100", ["-20.00"])):  # fmt: skip
        agreed = contract(minimum=Decimal(minimum))
        late = late_of(agreed, [october([row], [gone], agreed)])
        assert [format(line.amount, "f") for line in late.lines] == shown


def test_late_usage_is_converted_at_its_own_periods_rate() -> None:
    later = ExchangeRate(date(2026, 11, 1), "USD", "EUR", Decimal(2), "ECB")
    agreed = contract(currency="EUR", rates=(RATE, later))
    rows = [UsageLine("a", "out", 10, Decimal(10), Decimal(9))]
    late = late_of(agreed, [october([], rows, agreed), october(rows, [], agreed)])
    assert (late.charges, [line.amount for line in late.lines]) == (9, [9])
    made = statement(agreed, NOVEMBER, rows, late)
    assert (made.charges, made.late_charges, made.subtotal) == (20, 9, 128)
    assert [t.amount for t in invoice_transfers(made, Decimal(20)) if t.kind == "conversion"] == [
        20,
        29,
    ]


def test_an_earlier_period_is_what_it_was_when_it_was_closed() -> None:
    """Neither a rate nor an end of the contract that was entered since changes it."""
    since = ExchangeRate(date(2026, 9, 30), "USD", "EUR", Decimal("0.5"), "ECB")
    closed = contract(currency="EUR", rates=(RATE,), minimum=Decimal(150), ends=date(2026, 10, 3))
    today = contract(currency="EUR", rates=(RATE, since), minimum=Decimal(150))
    rows = [UsageLine("a", "out", 10, Decimal(100), Decimal(9))]
    late = late_of(today, [october([], rows, closed)])
    # Of the minimum's two days 9.68 were paid, of which the fee of two days was 6.39.
    assert (late.charges, [line.amount for line in late.lines]) == (90, [90, Decimal("-3.29")])


def test_rates_of_after_an_earlier_period_are_none_of_it() -> None:
    """Its currency was agreed later: what is known now of its first day converts it."""
    after = ExchangeRate(date(2026, 10, 2), "USD", "EUR", Decimal("0.5"), "ECB")
    closed = contract(currency="EUR", rates=(after,))
    today = contract(currency="EUR", rates=(RATE, after))
    rows = [UsageLine("a", "out", 10, Decimal(100), Decimal(9))]
    assert [line.amount for line in late_of(today, [october([], rows, closed)]).lines] == [90]


def test_a_credit_note_and_a_grant() -> None:
    parts = Decimal(10), Decimal("0.83")
    given_back = credit_note_transfers(Credited(*parts, prepaid=Decimal(0)), "USD")
    assert totals(given_back, RECEIVABLE) == Decimal("-10.83")
    assert (totals(given_back, UNBILLED), totals(given_back, TAX)) == (0, Decimal("0.83"))
    untaxed = Credited(Decimal(10), Decimal(0), Decimal(0))
    assert len(credit_note_transfers(untaxed, "USD")) == 2
    returned = credit_note_transfers(Credited(*parts, prepaid=Decimal(4)), "USD")
    assert (totals(returned, RECEIVABLE), totals(returned, PREPAID)) == (Decimal("-6.83"), -4)
    grant = grant_transfer(Decimal(5), "USD")
    assert (totals([grant], PREPAID), totals([grant], "prepayment")) == (-5, 5)


def test_charges_that_are_not_the_ledgers_are_our_fault() -> None:
    made = statement(contract(), NOVEMBER, [UsageLine("a", "out", 1, Decimal(1), Decimal(9))])
    with pytest.raises(AssertionError):
        invoice_transfers(made, Decimal(2))
