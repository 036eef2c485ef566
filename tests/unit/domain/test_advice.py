"""The silo advice: each case, with its evidence, and never an answer that flutters."""

from __future__ import annotations

from decimal import Decimal
from itertools import cycle, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.advice import Reason, Standing, Verdict, advise, spend_asks


def months(*costs: str | int) -> tuple[Decimal, ...]:
    return tuple(Decimal(cost) for cost in costs)


RICH = Decimal(20_000)  # a contribution that carries the floor


@pytest.mark.parametrize(
    ("costs", "forecast", "verdict"),
    [
        ((), None, Verdict.POOL),
        ((9000,), None, Verdict.POOL),
        ((9000,), 9000, Verdict.POOL),
        ((100, 100, 9000), 9000, Verdict.POOL),
        ((100, 9000, 100), None, Verdict.POOL),
        ((5100, 5200, 5000), None, Verdict.SILO),
        ((5100, 5200, 5000), 5000, Verdict.SILO),
        ((5100, 5200, 5000), "4999.99", Verdict.POOL),
        ((5100, 5200, "4999.99"), None, Verdict.POOL),
        ((5000, "4999.99", "4999.99"), 5000, Verdict.POOL),
        (("4999.99", "4999.99", "4999.99"), None, Verdict.POOL),
        (("4999.99", "4999.99", "4999.99"), 9000, Verdict.POOL),
        ((5100, 4900, 5100), None, Verdict.SILO),
        ((5000, 5000), None, Verdict.SILO),
    ],
)
def test_spend(costs: tuple[str | int, ...], forecast: str | int | None, verdict: Verdict) -> None:
    expected = None if forecast is None else Decimal(forecast)
    standing = Standing(months(*costs), expected, contribution=RICH)
    made = advise(standing)
    assert made.verdict == verdict
    assert made.reasons == ((Reason.SPEND,) if verdict is Verdict.SILO else ())


@pytest.mark.parametrize("turn", [("4900", "5100"), ("5100", "4900")])
def test_about_the_threshold_there_is_one_stable_answer(turn: tuple[str, str]) -> None:
    costs = tuple(map(Decimal, islice(cycle(turn), 24)))
    answers = [spend_asks(Standing(costs[:end])) for end in range(1, 25)]
    assert sum(a != b for a, b in pairwise(answers)) == 1
    assert answers[-1]
    held = advise(Standing(costs[:-1] if costs[-1] > 5000 else costs, contribution=RICH))
    assert "asked before, and has not been below 3,500.00 USD for 3 months" in held.evidence[1]


@pytest.mark.parametrize(
    ("after", "asks"),
    [
        ((3499,), True),
        ((3499, 3499), True),
        ((3499, 3499, "3499.99"), False),
        ((3499, 3499, 3500), True),
        ((3499, 3500, 3499, 3499), True),
        ((3499, 3499, 3499, 4900), False),
        ((3499, 3499, 3499, 5000), False),
        ((3499, 3499, 3499, 5000, 5000), True),
    ],
)
def test_it_is_cleared_by_three_months_below(after: tuple[str | int, ...], asks: bool) -> None:
    assert spend_asks(Standing(months(6000, 6000, 6000, *after))) is asks


def test_what_was_asked_before_the_first_month_is_remembered() -> None:
    assert spend_asks(Standing(months(4000, 4000, 4000), asked=True))
    assert not spend_asks(Standing(months(3000, 3000, 3000), asked=True))
    assert spend_asks(Standing(months(3000, 3000), asked=True)), "two months clear nothing"


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        ({"compliance": True}, [Reason.COMPLIANCE]),
        ({"quota_share": Decimal("0.30")}, [Reason.QUOTA]),
        ({"quota_share": Decimal("0.2999")}, []),
        ({"throttles_caused": Decimal("0.01")}, []),
        ({"throttles_caused": Decimal("0.0101")}, [Reason.THROTTLES]),
        (
            {"compliance": True, "quota_share": Decimal(1), "throttles_caused": Decimal(1)},
            [Reason.COMPLIANCE, Reason.QUOTA, Reason.THROTTLES],
        ),
    ],
)
def test_what_else_asks(given: dict[str, object], reasons: list[Reason]) -> None:
    made = advise(Standing(months(10, 10, 10), contribution=RICH, **given))  # type: ignore[arg-type]
    assert list(made.reasons) == reasons
    assert made.verdict == (Verdict.SILO if reasons else Verdict.POOL)


@pytest.mark.parametrize(
    ("contribution", "verdict"),
    [
        (None, Verdict.SILO),
        (Decimal(1460), Verdict.SILO),  # 5 % of it is the floor of 73
        (Decimal("1459.99"), Verdict.HOLD),
        (Decimal(0), Verdict.HOLD),
        (Decimal(-5), Verdict.HOLD),
    ],
)
def test_it_is_held_while_the_floor_weighs_too_much(
    contribution: Decimal | None, verdict: Verdict
) -> None:
    for known in ({"months": months(6000, 6000, 6000)}, {"months": (), "compliance": True}):
        made = advise(Standing(contribution=contribution, **known))  # type: ignore[arg-type]
        assert made.verdict == verdict
        assert made.reasons, "what asks is shown, also where it is held"
    assert advise(Standing((), contribution=contribution)).verdict == Verdict.POOL


def test_it_shows_its_evidence_and_the_other_lever() -> None:
    made = advise(Standing(months(5100, 5200, "4999.999"), Decimal(5050), Decimal(1000)))
    assert made.evidence == (
        "compliance: not required",
        "spend: last closed months 5,100.00 USD, 5,200.00 USD, 4,999.999 USD;"
        " 2 reached 5,000.00 USD; forecast 5,050.00 USD",
        "quota: an unknown share of a regional quota, from 30 % on asks for a silo",
        "throttles: an unknown share of others' requests, over 1 % asks for a silo",
        "floor: 73.00 USD a month, over 5 % of a contribution of 1,000.00 USD",
    )
    assert made.other_lever == (
        "a negotiated discount: tokens cost the same in pool and silo; each per cent on"
        " 5,050.00 USD a month saves 50.50 USD"
    )


def test_what_is_no_figure_is_refused() -> None:
    for wrong in ({"months": months("NaN")}, {"months": (), "quota_share": Decimal("Infinity")}):
        with pytest.raises(ValueError, match="no figure to advise by"):
            Standing(**wrong)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from([0, 3000, 3500, 4999, 5000, 9000]), max_size=18))
def test_an_answer_changes_only_for_its_own_reasons(costs: list[int]) -> None:
    answers = [
        spend_asks(Standing(tuple(map(Decimal, costs[:end])))) for end in range(len(costs) + 1)
    ]
    for end in range(3, len(costs) + 1):
        window = costs[end - 3 : end]
        if answers[end - 1] and not answers[end] and end > 3:
            assert max(window) < 3500
        if answers[end] and not answers[end - 1]:
            assert sum(cost >= 5000 for cost in window) >= 2 and window[-1] >= 5000
