"""Rated to the last digit, and never more than was reserved for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.core import PRICES, SYNTHETIC, edition, rows

from tenantry.domain import money, normalise
from tenantry.domain.markup import AT_COST, Markup
from tenantry.domain.price import ModelPrice, Unpriced
from tenantry.domain.rating import Bound, rate, worst_cost
from tenantry.domain.usage import PRICED_CLASSES, TokenClass, Usage

CLAUDE = PRICES.of("claude")
THREEFOLD = Markup(Decimal(3))


def cost(usage: Usage, tier: str = "default") -> Decimal:
    return rate(usage, CLAUDE, tier=tier, markup=AT_COST).cost


def test_cost_and_charge() -> None:
    rated = rate(Usage(uncached_in=1_000, out=500), CLAUDE, tier="default", markup=THREEFOLD)
    assert (rated.cost, rated.charge) == (Decimal("0.0105"), Decimal("0.0315"))


def test_each_class_of_cached_tokens_has_its_own_price() -> None:
    usage = {
        "inputTokens": 2, "outputTokens": 300, "totalTokens": 21_487,
        "cacheReadInputTokens": 13_923, "cacheWriteInputTokens": 7_262,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 5_000}, {"ttl": "5m", "inputTokens": 2_262}],
    }  # fmt: skip
    read = normalise.from_converse(usage, "anthropic")
    assert isinstance(read, normalise.Normalised)
    assert cost(read.usage) == Decimal("0.0471654")
    wrong = [
        Usage(uncached_in=2, cache_read=13_923, cache_write_5m=7_262, out=300),
        Usage(uncached_in=2 + 13_923 + 7_262, out=300),
    ]
    assert [cost(u) for u in wrong] == [Decimal("0.0359154"), Decimal("0.068061")]


def test_gross_usage_is_counted_once() -> None:
    usage = {
        "prompt_tokens": 12_401, "completion_tokens": 100, "total_tokens": 12_501,
        "prompt_tokens_details": {"cached_tokens": 8_367},
    }  # fmt: skip
    read = normalise.from_invoke({}, {"usage": usage}, "openai")
    assert isinstance(read, normalise.Normalised)
    assert read.usage.uncached_in == 12_401 - 8_367
    exact = Usage(uncached_in=2, cache_read=8_367, cache_write_5m=4_032, out=100)
    assert cost(exact) == Decimal("0.0191361")
    twice = Usage(uncached_in=12_401, cache_read=8_367, cache_write_5m=4_032, out=100)
    assert cost(twice) == Decimal("0.0563331")


def test_the_tier_that_served_and_the_one_that_was_reserved() -> None:
    served = Usage(uncached_in=10_000, out=1_000)
    assert cost(served, "default") == Decimal("0.045")
    bound = Bound(10_000, 1_000)
    assert worst_cost(bound, CLAUDE, tiers=frozenset({"priority"})) == Decimal("0.07875")


def test_a_step_is_decided_by_the_whole_prompt_cached_or_not() -> None:
    price = edition(
        [
            *rows("m", SYNTHETIC),
            *rows("m", {name: str(Decimal(p) * 2) for name, p in SYNTHETIC.items()}, over=200_000),
        ]
    ).of("m")
    under = Usage(uncached_in=100_000, cache_read=100_000, out=1)
    over = Usage(uncached_in=100_000, cache_read=100_001, out=1)
    once = rate(under, price, tier="default", markup=AT_COST).cost
    assert rate(over, price, tier="default", markup=AT_COST).cost > once * Decimal("1.99")


@pytest.mark.parametrize("name", sorted(PRICED_CLASSES - SYNTHETIC.keys()))
def test_a_class_without_a_price_is_never_free(name: TokenClass) -> None:
    with pytest.raises(Unpriced, match=name):
        cost(Usage(**{name.value: 1}))


def test_a_bound_that_can_meet_what_is_unpriced_is_refused() -> None:
    book = edition([*rows("m", {"uncached_in": "1", "out": "2"}), "m,default,272000,*,-"])
    price, none = book.of("m"), frozenset[str]()
    assert worst_cost(Bound(272_000, 1), price, tiers=none) > 0
    with pytest.raises(Unpriced, match="above 272000"):
        worst_cost(Bound(272_001, 1), price, tiers=none)
    with pytest.raises(Unpriced, match="priority"):
        worst_cost(Bound(1, 1), price, tiers=frozenset({"priority"}))
    for bound in (
        Bound(1, 1, cache_writes_5m=True),
        Bound(1, 1, cache_writes_1h=True),
        Bound(1, 0, embeds=True),
        Bound(0, 0, rerank_units=1),
    ):
        with pytest.raises(Unpriced):
            worst_cost(bound, price, tiers=none)
    # A provider that caches unasked may have no price for what it does not have.
    unasked = Bound(200_000, 0, caches_unasked=True)
    assert worst_cost(unasked, price, tiers=none) == Decimal("0.2")


PRICE = st.decimals("0.000001", 100, places=6).map(str)
CHAT = ("uncached_in", "out", "cache_read", "cache_write_5m", "cache_write_1h")
STEP = st.fixed_dictionaries(dict.fromkeys(CHAT, PRICE))


@st.composite
def priced(draw: st.DrawFn) -> ModelPrice:
    lines: list[str] = []
    for tier in ("default", *draw(st.lists(st.sampled_from(["flex", "priority"]), unique=True))):
        overs = {0, *draw(st.lists(st.integers(1, 5_000), max_size=2))}
        for over in overs:
            lines += rows("m", draw(STEP), tier, over)
    return edition(lines).of("m")


@st.composite
def bounded(draw: st.DrawFn) -> tuple[Bound, Usage]:
    """A bound, and a usage within it of the classes that it allows."""
    five, hour, unasked = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    bound = Bound(
        draw(st.integers(0, 6_000)),
        draw(st.integers(0, 6_000)),
        cache_writes_5m=five,
        cache_writes_1h=hour,
        caches_unasked=unasked,
    )
    allowed = ["uncached_in"]
    if five or hour or unasked:
        allowed += ["cache_read", "cache_write_5m"]
    if hour:
        allowed.append("cache_write_1h")
    left, used = bound.input_tokens, {}
    for name in draw(st.permutations(allowed)):
        used[name] = draw(st.integers(0, left))
        left -= used[name]
    return bound, Usage(**used, out=draw(st.integers(0, bound.output_tokens)))


@given(priced(), bounded(), st.data())
def test_nothing_within_a_bound_costs_more_than_its_worst(
    price: ModelPrice, within: tuple[Bound, Usage], data: Any
) -> None:
    bound, usage = within
    asked = frozenset(data.draw(st.lists(st.sampled_from(sorted(price.tiers)))))
    served = data.draw(st.sampled_from(sorted(asked | {"default"})))
    rated = rate(usage, price, tier=served, markup=THREEFOLD)
    assert rated.cost <= worst_cost(bound, price, tiers=asked)
    assert rated.charge == money.times(rated.cost, Decimal(3))
    assert rated.cost == money.total(line.cost for line in rated.lines)
    assert rated.charge == money.total(line.charge for line in rated.lines)
    assert sum(line.quantity for line in rated.lines) == usage.tokens


@given(priced(), bounded())
def test_a_larger_bound_is_never_cheaper(price: ModelPrice, within: tuple[Bound, Usage]) -> None:
    bound, _ = within
    more = Bound(
        bound.input_tokens + 1,
        bound.output_tokens + 1,
        bound.cache_writes_5m,
        bound.cache_writes_1h,
        bound.caches_unasked,
    )
    none = frozenset[str]()
    assert worst_cost(more, price, tiers=none) >= worst_cost(bound, price, tiers=none)
