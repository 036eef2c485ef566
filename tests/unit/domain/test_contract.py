"""Fee, allowance, overage, minimum, tax and credit, to the cent and in this order."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.billing import Late, LineKind, Statement, StatementLine, statement
from tenantry.domain.contract import Contract, ContractError, ExchangeRate, Terms, terms_of
from tenantry.domain.invoice_edition import Edition
from tenantry.domain.overage import Overage
from tenantry.domain.period import billing_period
from tenantry.domain.plan import plan_from
from tenantry.domain.rating import NOTHING, with_hit
from tenantry.domain.tiers import Step, Tiers
from tenantry.domain.usage_line import UsageLine

NOVEMBER = billing_period(datetime(2026, 11, 23, tzinfo=UTC), "UTC", 1)
FIRST = date(2026, 1, 1)
PLAN = plan_from(
    "team",
    {
        "monthly_fee": "99",
        "minimum": "150",
        "overage": {
            "mode": "graduated",
            "included": 5_000_000,
            "steps": [{"per_million": "6"}],
        },
    },
)
USAGE = [
    UsageLine("nova", "uncached_in", 8_000_000, Decimal("1.23")),
    UsageLine("nova", "out", 2_000_000, Decimal("4.56")),
    UsageLine("haiku", "cache_read", 1_000_000, Decimal("0.07")),
]


def contract(*terms: Terms, **fields: object) -> Contract:
    return Contract("UTC", terms or (terms_of(PLAN, FIRST),), **fields)  # type: ignore[arg-type]


def amounts(made: Statement) -> list[tuple[str, str]]:
    return [(line.kind.value, format(line.amount, "f")) for line in made.lines]


def test_to_the_cent() -> None:
    agreed = contract(tax_rate=Decimal("0.0825"), prepaid=Decimal(20))
    made = statement(agreed, NOVEMBER, USAGE)
    assert amounts(made) == [
        ("fee", "99.00"),
        ("included", "0.00"),
        ("overage", "36.00"),
        ("minimum", "15.00"),
    ]
    assert [line.quantity for line in made.lines] == [1, 5_000_000, 6_000_000, 1]
    assert format(made.subtotal, "f") == "135.00"
    assert format(made.true_up, "f") == "15.00"
    assert format(made.tax, "f") == "12.38"  # 12.375
    assert format(made.total, "f") == "162.38"
    assert format(made.credit, "f") == "20.00"
    assert format(made.due, "f") == "142.38"
    assert made.charges + made.adjustment == Decimal(150)
    assert made.charges == Decimal("5.86")


def test_a_credit_pays_no_more_than_what_is_due() -> None:
    made = statement(contract(prepaid=Decimal("500.00")), NOVEMBER, USAGE)
    assert (made.credit, made.due) == (Decimal(150), 0)


def test_nothing_is_0_with_its_digits_and_never_below() -> None:
    free = contract(Terms(FIRST, "free", Decimal(0)), tax_rate=Decimal("0.2"))
    idle, reversed_ = (
        statement(free, NOVEMBER, rows)
        for rows in ([], [UsageLine("m", "out", -1, Decimal("-0.001"))])
    )
    for made in (idle, reversed_):
        figures = (made.subtotal, made.true_up, made.tax, made.total, made.credit, made.due)
        assert [format(figure, "f") for figure in figures] == ["0.00"] * 6
    assert reversed_.adjustment == Decimal("0.001")


def test_a_sum_below_zero_goes_to_the_credit() -> None:
    agreed = contract(
        Terms(FIRST, "free", Decimal(0)), tax_rate=Decimal("0.1"), prepaid=Decimal(20)
    )
    back = [UsageLine("m", "out", -1, Decimal(-5))]
    made = statement(agreed, NOVEMBER, back)
    assert (made.tax, made.credit, made.due) == (Decimal("-0.50"), Decimal("-5.50"), 0)
    before = statement(agreed, NOVEMBER, back, edition=Edition.PRICES_TOLD)
    assert (before.tax, before.credit, before.due) == (Decimal("-0.50"), 0, Decimal("-5.50"))


def test_a_line_of_an_overage_says_where_it_begins() -> None:
    tiers = Tiers("graduated", (Step(1_000_000, Decimal(10)), Step(None, Decimal(8))))
    made = statement(
        contract(Terms(FIRST, "p", Decimal(0), Overage(5_000_000, tiers))), NOVEMBER, USAGE
    )
    assert [(line.description, line.per_million) for line in made.lines] == [
        ("Included tokens, 5,000,000 of 5,000,000", None),
        ("Tokens beyond 5,000,000", Decimal(10)),
        ("Tokens beyond 6,000,000", Decimal(8)),
    ]


def test_an_upgrade_raises_no_allowance_of_its_own_period() -> None:
    tiers = Tiers("volume", (Step(None, Decimal(1)),))
    bigger = Terms(date(2026, 11, 30), "team", Decimal(99), Overage(50_000_000, tiers))
    agreed = contract(terms_of(PLAN, FIRST), bigger)
    assert amounts(statement(agreed, NOVEMBER, USAGE)) == amounts(
        statement(contract(), NOVEMBER, USAGE)
    )
    december = billing_period(datetime(2026, 12, 5, tzinfo=UTC), "UTC", 1)
    assert amounts(statement(agreed, december, USAGE)) == [("fee", "99.00"), ("included", "0.00")]


def test_a_minimum_that_is_reached_adds_no_line() -> None:
    heavy = [UsageLine("nova", "out", 13_500_000, Decimal(1))]
    made = statement(contract(), NOVEMBER, heavy)
    assert made.subtotal == Decimal(150)
    assert made.true_up == 0
    assert LineKind.MINIMUM not in [line.kind for line in made.lines]


def test_what_is_no_token_keeps_its_list_charge() -> None:
    rows = [*USAGE, UsageLine("rerank", "rerank_units", 40, Decimal("0.0849"))]
    made = statement(contract(), NOVEMBER, rows)
    assert amounts(made)[1] == ("usage", "0.08")
    assert [line.quantity for line in made.lines if line.kind is LineKind.OVERAGE] == [6_000_000]


def test_what_settles_after_a_contracts_end_asks_for_nothing_else() -> None:
    terms = (terms_of(PLAN, FIRST), Terms(date(2026, 2, 1), "b", Decimal(7)),
             Terms(date(2026, 3, 1), "last", Decimal(9), minimum=Decimal(100)))  # fmt: skip
    ended = contract(*terms, ends=date(2026, 11, 1), tax_rate=Decimal("0.5"))
    line = StatementLine(LineKind.USAGE, "October's", Fraction(2), Decimal("2.00"))
    made = statement(ended, NOVEMBER, [], Late((line,), Decimal(2)))
    assert made.lines == (line,)
    assert (made.terms.plan, made.true_up, made.total) == ("last", 0, 3)
    assert (made.charges, made.late_charges, made.adjustment) == (0, 2, 0)
    assert statement(ended, NOVEMBER, []).lines == ()
    running = contract(*terms, ends=date(2026, 11, 2))
    # Of November one day is under contract: 29 / 30 of the fee go back, 100 / 30 is the least.
    assert amounts(statement(running, NOVEMBER, [], Late((line,), Decimal(2)))) == [
        ("fee", "9.00"), ("fee", "-8.70"), ("usage", "2.00"), ("minimum", "3.03"),
    ]  # fmt: skip


def test_what_is_used_after_a_contracts_end_is_stated_under_its_last_terms() -> None:
    late = Late((StatementLine(LineKind.ADJUSTMENT, "October's", Fraction(2), Decimal(2)),))
    ended = contract(Terms(FIRST, "old", Decimal(7)), terms_of(PLAN, date(2026, 2, 1)),
                     ends=date(2026, 11, 1))  # fmt: skip
    # Neither fee nor minimum, and none of the tokens that the fee would include: 11M × 6.
    assert amounts(statement(ended, NOVEMBER, USAGE)) == [("overage", "66.00")]
    assert amounts(statement(ended, NOVEMBER, USAGE, late)) == [
        ("overage", "66.00"), ("adjustment", "2"),
    ]  # fmt: skip
    by_list = contract(Terms(FIRST, "pro", Decimal(50)), ends=date(2026, 11, 1))
    assert statement(by_list, NOVEMBER, USAGE).total == Decimal("5.86")


def test_without_an_overage_usage_is_charged_by_list() -> None:
    made = statement(contract(Terms(FIRST, "pro", Decimal(50))), NOVEMBER, USAGE)
    assert amounts(made) == [
        ("fee", "50.00"),
        ("usage", "0.07"),
        ("usage", "4.56"),
        ("usage", "1.23"),
    ]
    assert made.adjustment == 50


def test_a_period_that_is_covered_in_part_has_that_part() -> None:
    made = statement(contract(terms_of(PLAN, date(2026, 11, 16))), NOVEMBER, USAGE)
    # 15 of 30 days: fee 49.50, 2.5M included, 8.5M × 6 = 51; minimum 75
    assert amounts(made) == [("fee", "49.50"), ("included", "0.00"), ("overage", "51.00")]
    quiet = statement(contract(terms_of(PLAN, date(2026, 11, 16))), NOVEMBER, [])
    assert quiet.subtotal + quiet.true_up == 75


@pytest.mark.parametrize(
    ("currency", "rate", "shown"),
    [("USD", None, "16.44"), ("JPY", "1", "16"), ("KWD", "1", "16.440"), ("EUR", "0.9", "14.80")],
)
def test_a_line_is_rounded_once_to_the_minor_unit(
    currency: str, rate: str | None, shown: str
) -> None:
    rates = [ExchangeRate(date(2026, 11, 1), "USD", currency, Decimal(rate), "x")] if rate else []
    agreed = contract(Terms(FIRST, "p", Decimal(0)), currency=currency, rates=tuple(rates))
    usage = [UsageLine("m", "out", 13_700_000, Decimal("16.44"))]
    assert format(statement(agreed, NOVEMBER, usage).total, "f") == shown


def test_answers_from_the_cache_are_in_usd_and_converted_like_every_list_charge() -> None:
    rate = ExchangeRate(date(2026, 11, 1), "USD", "EUR", Decimal("0.9"), "ECB")
    agreed = contract(Terms(FIRST, "p", Decimal(10)), currency="EUR", rates=(rate,))
    hit = with_hit(NOTHING, plan_from("p", {"cache_hit_price": "0.5"}).cache_hit_price)
    usage = [UsageLine("m", "cache_hit", 3, 3 * hit.charge)]
    assert amounts(statement(agreed, NOVEMBER, usage)) == [("fee", "10.00"), ("usage", "1.35")]


def test_the_rate_is_the_latest_on_the_periods_first_day() -> None:
    rates = tuple(
        ExchangeRate(day, "USD", "EUR", Decimal(rate), "ECB")
        for day, rate in [
            (date(2026, 9, 1), "0.5"),
            (date(2026, 11, 1), "0.9"),
            (date(2026, 11, 2), "2"),
        ]
    )
    agreed = contract(Terms(FIRST, "p", Decimal(10)), currency="EUR", rates=rates)
    made = statement(agreed, NOVEMBER, [UsageLine("m", "out", 1, Decimal(100))])
    assert amounts(made) == [("fee", "10.00"), ("usage", "90.00")]  # a fee is not converted
    assert made.rate == rates[1]
    before = billing_period(datetime(2026, 8, 5, tzinfo=UTC), "UTC", 1)
    with pytest.raises(ContractError, match="no rate from USD to EUR is known on 2026-08-01"):
        statement(agreed, before, [])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"terms": ()}, "a contract has terms"),
        ({"terms": (terms_of(PLAN, FIRST),) * 2}, "in the order of their days"),
        ({"ends": FIRST}, "before its last terms start"),
        ({"tax_rate": Decimal("8.25")}, "a tax rate is a fraction"),
        ({"tax_rate": Decimal(1)}, "a tax rate is a fraction"),
        ({"tax_rate": Decimal("NaN")}, "a tax rate is a fraction"),
        ({"prepaid": Decimal(-1)}, "not negative"),
        ({"prepaid": Decimal("0.005")}, "0.005 is no amount in USD"),
        ({"rates": (ExchangeRate(FIRST, "USD", "EUR", Decimal(0), "x"),)}, "more than 0"),
    ],
)
def test_a_contract_that_cannot_be_invoiced_is_refused(
    fields: dict[str, object], message: str
) -> None:
    given: dict[str, object] = {"zone": "UTC", "terms": (terms_of(PLAN, FIRST),), **fields}
    with pytest.raises(ContractError, match=message):
        Contract(**given)  # type: ignore[arg-type]


def test_a_period_out_of_contract_and_usage_below_zero_are_refused() -> None:
    with pytest.raises(ContractError, match="no terms are in force"):
        statement(contract(terms_of(PLAN, date(2026, 12, 1))), NOVEMBER, [])
    with pytest.raises(ContractError, match="usage of -1 tokens has no price"):
        statement(contract(), NOVEMBER, [UsageLine("m", "out", -1, Decimal(-1))])


MONEY = st.decimals(0, 10**6, places=4)
ROWS = st.lists(
    st.builds(
        UsageLine,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["out", "uncached_in", "rerank_units"]),
        st.integers(0, 10**9),
        st.decimals(0, 10**4, places=9),
    ),
    max_size=6,
)


@given(
    ROWS,
    st.none() | MONEY,
    MONEY,
    MONEY,
    st.decimals(0, "0.99", places=4),
    st.sampled_from(["USD", "JPY", "KWD"]),
    st.randoms(use_true_random=False),
)
def test_the_sums_are_those_of_the_lines(
    rows: list[UsageLine],
    price: Decimal | None,
    fee: Decimal,
    minimum: Decimal,
    tax_rate: Decimal,
    currency: str,
    order: random.Random,
) -> None:
    tiers = Tiers("graduated", (Step(1000, Decimal(9)), Step(None, price or Decimal(0))))
    overage = None if price is None else Overage(500, tiers)
    agreed = Contract(
        "Asia/Tokyo",
        (Terms(FIRST, "p", fee, overage, minimum), Terms(date(2026, 11, 9), "q", minimum)),
        currency=currency,
        usage_currency=currency,
        tax_rate=tax_rate,
        prepaid=Decimal(7),
    )
    period = billing_period(datetime(2026, 11, 23, tzinfo=UTC), "Asia/Tokyo", 3)
    made = statement(agreed, period, rows)
    net = sum((line.amount for line in made.lines), Decimal(0))
    assert made.subtotal + made.true_up == net == made.charges + made.adjustment
    assert made.total == net + made.tax == made.due + made.credit
    assert 0 <= made.credit <= 7
    half = Fraction(1, 2 * 10 ** {"USD": 2, "JPY": 0, "KWD": 3}[currency])
    assert all(abs(line.exact - Fraction(line.amount)) <= half for line in made.lines)
    shuffled = order.sample(rows, len(rows))
    assert statement(agreed, period, shuffled) == made
