"""What an attempt costs us and what its call charges the customer.

Pure and exact: nothing is rounded here. A line is one token class; the charge is the list charge
(price × markup), before allowance, tier, minimum, fee and tax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from tenantry.domain import money
from tenantry.domain.guardrail import output_units
from tenantry.domain.markup import AT_COST, Markup
from tenantry.domain.price import (
    BATCH_TIER,
    GUARDRAILS,
    STANDARD_TIER,
    ModelPrice,
    Unpriced,
)
from tenantry.domain.record import record
from tenantry.domain.usage import GUARDRAIL_CLASSES, TokenClass, Usage


@record
class Line:
    token_class: TokenClass
    quantity: int
    unit_cost: Decimal  # USD per 1,000,000
    cost: Decimal  # provider's, USD
    charge: Decimal  # customer's list charge, USD


@record
class Rated:
    lines: tuple[Line, ...]
    cost: Decimal
    charge: Decimal


_UNASKED = (TokenClass.CACHE_READ, TokenClass.CACHE_WRITE_5M)
NOTHING = Rated((), money.ZERO, money.ZERO)


def rate(
    usage: Usage,
    price: ModelPrice,
    *,
    tier: str,
    markup: Markup,
    guardrails: ModelPrice | None = None,
) -> Rated:
    """Rates disjoint usage at the tier that served. Raises `Unpriced`; never prices at zero.

    `guardrails` prices guardrail units: neither the model nor its tier changes them.
    """
    rates = price.rates(tier, usage.prompt_tokens)
    lines = []
    for token_class, quantity in usage.items():
        if token_class is TokenClass.CACHE_HIT:
            unit = money.ZERO  # no provider was asked; what a hit is worth is the plan's to say
        elif token_class in GUARDRAIL_CLASSES:
            unit = _unit_price(guardrails, token_class)
        elif token_class in rates:
            unit = rates[token_class]
        else:
            raise Unpriced(f"{price.key}: no price for {token_class}")
        cost = money.per_million(quantity, unit)
        charge = money.times(cost, markup.of(token_class))
        lines.append(Line(token_class, quantity, unit, cost, charge))
    return Rated(
        tuple(lines),
        money.total(line.cost for line in lines),
        money.total(line.charge for line in lines),
    )


def with_hit(rated: Rated, price: Decimal) -> Rated:
    """A rated answer from our own cache, charged the plan's price for it."""
    hit = Line(TokenClass.CACHE_HIT, 1, money.ZERO, money.ZERO, price)
    return Rated((hit, *rated.lines), rated.cost, money.total((rated.charge, price)))


@record
class Bound:
    """The most that one call can use.

    `caches_unasked`: the provider may read and write its cache without any marker.
    """

    input_tokens: int
    output_tokens: int
    cache_writes_5m: bool = False
    cache_writes_1h: bool = False
    caches_unasked: bool = False
    embeds: bool = False
    rerank_units: int = 0
    guardrail_units: int = 0  # texts of 1,000 characters, without the answer's
    guardrail_images: int = 0
    guards_output: bool = False  # a guardrail looks at the answer too


def worst_cost(
    bound: Bound,
    price: ModelPrice,
    *,
    tiers: frozenset[str],
    guardrails: ModelPrice | None = None,
) -> Decimal:
    """The provider's cost that no answer within `bound` can pass, in USD. Raises `Unpriced`."""
    return worst_charge(bound, price, AT_COST, tiers=tiers, guardrails=guardrails)


def worst_charge(
    bound: Bound,
    price: ModelPrice,
    markup: Markup,
    *,
    tiers: frozenset[str],
    guardrails: ModelPrice | None = None,
) -> Decimal:
    """The list charge that no answer within `bound` can pass, in USD. Raises `Unpriced`.

    The dearest of every tier that may serve (asked for, or default), every prompt-size step
    that the bound can reach, and every input class that could apply; and a guardrail's units
    under every policy that bills text, since which policies it has is known to Bedrock alone.
    """
    worst = money.ZERO
    # A batch is served as a batch; every other tier may be served as default.
    for tier in tiers if BATCH_TIER in tiers else tiers | {STANDARD_TIER}:
        for step in price.steps(tier, bound.input_tokens):
            if step.rates is None:
                raise Unpriced(f"{price.key}: unpriced above {step.over_tokens} tokens")
            worst = max(worst, _worst_at(bound, price.key, step.rates, markup))
    return money.total((worst, _worst_guardrail(bound, guardrails, markup)))


def _worst_guardrail(bound: Bound, guardrails: ModelPrice | None, markup: Markup) -> Decimal:
    units = bound.guardrail_units
    units += output_units(bound.output_tokens) if bound.guards_output else 0
    counts = dict.fromkeys(GUARDRAIL_CLASSES, units)
    counts[TokenClass.GUARDRAIL_IMAGE] = bound.guardrail_images
    return money.total(
        money.per_million(
            count, money.times(_unit_price(guardrails, token_class), markup.of(token_class))
        )
        for token_class, count in counts.items()
        if count
    )


def _unit_price(guardrails: ModelPrice | None, token_class: TokenClass) -> Decimal:
    rates = {} if guardrails is None else guardrails.rates(STANDARD_TIER, 0)
    if token_class not in rates:
        raise Unpriced(f"{GUARDRAILS}: no price for {token_class}")
    return rates[token_class]


def _worst_at(
    bound: Bound, key: str, rates: Mapping[TokenClass, Decimal], markup: Markup
) -> Decimal:
    def needed(token_class: TokenClass) -> Decimal:
        if token_class not in rates:
            raise Unpriced(f"{key}: no price for {token_class}")
        return money.times(rates[token_class], markup.of(token_class))

    amounts = []
    if bound.input_tokens:
        dearest = _dearest_input(bound, needed)
        if bound.caches_unasked:  # models differ in which classes they have
            unasked = (needed(name) for name in _UNASKED if name in rates)
            dearest = max((dearest, *unasked))
        amounts.append(money.per_million(bound.input_tokens, dearest))
    if bound.output_tokens:
        amounts.append(money.per_million(bound.output_tokens, needed(TokenClass.OUT)))
    if bound.rerank_units:
        amounts.append(money.per_million(bound.rerank_units, needed(TokenClass.RERANK_UNITS)))
    return money.total(amounts)


def _dearest_input(bound: Bound, needed: Callable[[TokenClass], Decimal]) -> Decimal:
    """The price of the dearest class that a token of the prompt could be."""
    dearest = needed(TokenClass.EMBEDDING if bound.embeds else TokenClass.UNCACHED_IN)
    if bound.cache_writes_5m or bound.cache_writes_1h:
        dearest = max(dearest, needed(TokenClass.CACHE_READ), needed(TokenClass.CACHE_WRITE_5M))
    if bound.cache_writes_1h:
        dearest = max(dearest, needed(TokenClass.CACHE_WRITE_1H))
    return dearest
