"""Rated lines, the worst case and what plans say of steps, member by member."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.support.core import edition, plan, rows

from tenantry.domain.agreement import AgreementError
from tenantry.domain.clamp import largest_output
from tenantry.domain.contract import (
    RATE_DIGITS_MAX,
    Contract,
    ContractError,
    ExchangeRate,
    terms_of,
)
from tenantry.domain.invoice import canonical, instant, rate_json, sha256
from tenantry.domain.markup import Markup
from tenantry.domain.overage import STEPS_MAX, overage_from
from tenantry.domain.plan_values import PlanError
from tenantry.domain.price import Unpriced
from tenantry.domain.rating import Bound, Line, Rated, rate, with_hit, worst_cost
from tenantry.domain.tiers import Step, Tiers
from tenantry.domain.usage import TokenClass, Usage

# Each class dearer than the one before, each from another power of ten.
CLASSES = {
    "uncached_in": "1",
    "out": "10",
    "cache_read": "100",
    "cache_write_5m": "1000",
    "cache_write_1h": "10000",
}
FOURFOLD = Markup(Decimal(4))
PRICES = edition(
    [
        *rows("m", CLASSES),
        *rows("m", {name: f"{price}0000" for name, price in CLASSES.items()}, "priority"),
        *rows("stepped", {"uncached_in": "1", "out": "1"}),
        *rows("stepped", {"uncached_in": "9", "out": "9"}, over=100),
        *rows("shut", {"uncached_in": "1", "out": "1"}),
        *rows("shut", {"*": "-"}, over=100),
        *rows("falling", {**CLASSES, "uncached_in": "5000", "cache_read": "7000"}),
        *rows("reading", {**CLASSES, "cache_read": "7000"}),
        *rows("plain", {"uncached_in": "1", "out": "10", "cache_read": "3"}),
        *rows("titan", {"embedding": "7"}),
        *rows("rerank", {"rerank_units": "2000"}),
        *rows("silent", {"uncached_in": "1"}),
    ]
)
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("key", "bound", "tiers", "usd"),
    [
        ("m", Bound(0, 0), NONE, "0"),
        ("m", Bound(1_000_000, 0), NONE, "1"),
        ("m", Bound(0, 1_000_000), NONE, "10"),
        ("m", Bound(1_000_000, 1_000_000), NONE, "11"),
        ("m", Bound(1_000_000, 0, cache_writes_5m=True), NONE, "1000"),
        ("m", Bound(1_000_000, 0, cache_writes_1h=True), NONE, "10000"),
        ("m", Bound(1_000_000, 0, caches_unasked=True), NONE, "1000"),
        ("plain", Bound(1_000_000, 0, caches_unasked=True), NONE, "3"),
        ("falling", Bound(1_000_000, 0, cache_writes_5m=True), NONE, "7000"),
        ("falling", Bound(1_000_000, 0, caches_unasked=True), NONE, "7000"),
        ("reading", Bound(1_000_000, 0, cache_writes_5m=True), NONE, "7000"),
        ("m", Bound(1, 0), frozenset({"priority"}), "0.01"),
        ("m", Bound(1, 0), frozenset({"default"}), "0.000001"),
        ("stepped", Bound(100, 0), NONE, "0.0001"),
        ("stepped", Bound(101, 1), NONE, "0.000918"),
        ("titan", Bound(1_000_000, 0, embeds=True), NONE, "7"),
        ("rerank", Bound(0, 0, rerank_units=3), NONE, "0.006"),
    ],
)
def test_the_worst_case_to_the_last_digit(
    key: str, bound: Bound, tiers: frozenset[str], usd: str
) -> None:
    assert worst_cost(bound, PRICES.of(key), tiers=tiers) == Decimal(usd)


def test_a_uncached_token_can_be_the_dearest() -> None:
    prices = edition(rows("odd", {**CLASSES, "uncached_in": "99999"})).of("odd")
    for marked in ({"cache_writes_5m": True}, {"cache_writes_1h": True}, {"caches_unasked": True}):
        bound = Bound(1_000_000, 0, **marked)
        assert worst_cost(bound, prices, tiers=NONE) == 99_999


@pytest.mark.parametrize(
    ("key", "bound", "said"),
    [
        ("shut", Bound(101, 1), "shut: unpriced above 100 tokens"),
        ("silent", Bound(1, 1), "silent: no price for out"),
        ("titan", Bound(1, 0), "titan: no price for uncached_in"),
        ("plain", Bound(1, 0, cache_writes_5m=True), "plain: no price for cache_write_5m"),
        ("plain", Bound(1, 0, cache_writes_1h=True), "plain: no price for cache_write_5m"),
        ("silent", Bound(1, 0, cache_writes_5m=True), "silent: no price for cache_read"),
        ("silent", Bound(0, 0, rerank_units=1), "silent: no price for rerank_units"),
    ],
)
def test_what_has_no_price_is_named(key: str, bound: Bound, said: str) -> None:
    with pytest.raises(Unpriced) as refused:
        worst_cost(bound, PRICES.of(key), tiers=NONE)
    assert str(refused.value) == said


def test_a_rated_line_says_class_quantity_unit_cost_and_charge() -> None:
    rated = rate(Usage(uncached_in=2, out=3), PRICES.of("m"), tier="default", markup=FOURFOLD)
    assert rated == Rated(
        (
            Line(TokenClass.UNCACHED_IN, 2, Decimal(1), Decimal("0.000002"), Decimal("0.000008")),
            Line(TokenClass.OUT, 3, Decimal(10), Decimal("0.00003"), Decimal("0.00012")),
        ),
        Decimal("0.000032"),
        Decimal("0.000128"),
    )
    with pytest.raises(Unpriced) as refused:
        rate(Usage(image=1), PRICES.of("m"), tier="default", markup=FOURFOLD)
    assert str(refused.value) == "m: no price for image"


@pytest.mark.parametrize(
    "steps",
    [
        (Step(0, Decimal(1)), Step(None, Decimal(1))),
        (Step(None, Decimal(1)), Step(None, Decimal(1))),
        (Step(5, Decimal(1)), Step(5, Decimal(1)), Step(None, Decimal(1))),
        (Step(5, Decimal(1)), Step(4, Decimal(1)), Step(None, Decimal(1))),
        (Step(5, Decimal(1)),),
    ],
)
def test_tiers_that_do_not_grow_or_end_are_a_fault_of_ours(steps: Any) -> None:
    with pytest.raises(AssertionError):
        Tiers("graduated", steps)
    assert Tiers("graduated", (Step(1, Decimal(1)), Step(None, Decimal(1)))).amount(2) > 0


def test_an_overage_without_included_tokens_includes_none() -> None:
    found = overage_from("p", {"mode": "volume", "steps": [{"per_million": "1"}]})
    assert found is not None
    assert found.included == 0


def test_as_many_steps_as_are_allowed() -> None:
    def table(count: int) -> dict[str, Any]:
        bounded = [{"up_to": n, "per_million": "1"} for n in range(1, count)]
        return {"mode": "volume", "steps": [*bounded, {"per_million": "1"}]}

    found = overage_from("p", table(STEPS_MAX))
    assert found is not None
    assert len(found.tiers.steps) == STEPS_MAX
    with pytest.raises(PlanError):
        overage_from("p", table(STEPS_MAX + 1))
    for bad in (-1, "1", 1.5, True):
        with pytest.raises(PlanError, match=r"^plan p: overage\.steps\[0\]\.up_to "):
            overage_from(
                "p",
                {"mode": "volume", "steps": [{"up_to": bad, "per_million": "1"},
                                             {"per_million": "1"}]},
            )  # fmt: skip


def test_terms_name_their_plan_and_a_prepaid_credit_fits_its_currency() -> None:
    starts = datetime(2026, 11, 1, tzinfo=UTC).date()
    terms = terms_of(plan(monthly_fee="9"), starts)
    assert terms.plan == "test"
    for currency, fits, does_not in (("JPY", "1", "1.5"), ("KWD", "1.125", "1.1255")):
        Contract("UTC", (terms,), currency=currency, prepaid=Decimal(fits))
        with pytest.raises(ContractError):
            Contract("UTC", (terms,), currency=currency, prepaid=Decimal(does_not))


DAY = date(2026, 11, 1)
_SOURCE = "an exchange rate names its source in at most 200 printable characters"


def test_a_rate_is_from_list_currency_to_another() -> None:
    rate = ExchangeRate(DAY, "USD", "EUR", Decimal("0.92"), "ECB")
    rate.check()
    replace(rate, rate=Decimal("0." + "1" * RATE_DIGITS_MAX)).check()
    replace(rate, rate=Decimal("1E+2")).check()
    replace(rate, source="s" * 200).check()
    for change, said in (
        ({"base": "EUR", "quote": "USD"}, "a rate is from USD to another currency"),
        ({"quote": "USD"}, "a rate is from USD to another currency"),
        ({"base": "GBP"}, "a rate is from USD to another currency"),
        ({"rate": Decimal(0)}, "an exchange rate is more than 0"),
        ({"rate": Decimal(-1)}, "an exchange rate is more than 0"),
        ({"rate": Decimal("Infinity")}, "an exchange rate is more than 0"),
        ({"rate": Decimal("NaN")}, "an exchange rate is more than 0"),
        (
            {"rate": Decimal("0." + "1" * (RATE_DIGITS_MAX + 1))},
            f"an exchange rate has at most {RATE_DIGITS_MAX} decimals",
        ),
        ({"rate": Decimal("1e12")}, "an exchange rate has at most 12 digits in front"),
        ({"source": " "}, _SOURCE),
        ({"source": "s" * 201}, _SOURCE),
        ({"source": "ECB\nreference"}, _SOURCE),
    ):
        with pytest.raises(ContractError) as refused:
            replace(rate, **change).check()  # type: ignore[arg-type]
        assert str(refused.value) == said
    for change in ({"base": "usd"}, {"quote": "euros"}, {"quote": "EUE"}):
        with pytest.raises(AgreementError):
            replace(rate, **change).check()  # type: ignore[arg-type]


def test_a_rate_is_shown_with_its_day_and_its_source() -> None:
    assert rate_json(ExchangeRate(DAY, "USD", "EUR", Decimal("0.9200"), "ECB")) == {
        "day": "2026-11-01",
        "base": "USD",
        "quote": "EUR",
        "rate": "0.92",
        "source": "ECB",
    }


def test_instants_are_of_utc() -> None:
    kiritimati = datetime(2027, 1, 1, 3, tzinfo=ZoneInfo("Pacific/Kiritimati"))
    assert instant(kiritimati) == "2026-12-31T13:00:00Z"
    assert instant(kiritimati + timedelta(microseconds=5)) == "2026-12-31T13:00:00.000005Z"
    assert instant(None) is None
    body = {"b": "ü", "a": [1, None]}
    assert canonical(body) == '{"a":[1,null],"b":"ü"}'.encode()
    assert sha256(body) == hashlib.sha256(canonical(body)).hexdigest()


def test_a_hit_of_our_cache_is_a_line_before_the_others() -> None:
    rated = rate(Usage(uncached_in=2), PRICES.of("m"), tier="default", markup=FOURFOLD)
    assert with_hit(rated, Decimal("0.01")) == Rated(
        (
            Line(TokenClass.CACHE_HIT, 1, Decimal(0), Decimal(0), Decimal("0.01")),
            *rated.lines,
        ),
        Decimal("0.000002"),
        Decimal("0.010008"),
    )


@pytest.mark.parametrize("most", [1, 2, 7, 256, 1_000])
def test_the_largest_output_is_the_last_that_fits(most: int) -> None:
    for left in range(-1, most + 2):
        asked: list[int] = []

        def fits(tokens: int, left: int = left, asked: list[int] = asked) -> bool:
            asked.append(tokens)
            return tokens <= left

        expected = None if left < 1 else min(left, most)
        assert largest_output(fits, least=1, most=most) == expected
        assert len(asked) <= 12
    assert largest_output(lambda _: True, least=5, most=4) is None
    assert largest_output(lambda _: True, least=5, most=5) == 5
