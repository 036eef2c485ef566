"""Negotiated discounts, laid over an edition of the price book.

What results are editions of their own, with figures: nothing is discounted while a request is
rated. Invariant: every figure is exact; one that would have to be rounded is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, Inexact
from fnmatch import fnmatchcase

from tenantry.domain import money
from tenantry.domain.model_ids import parse_model_id
from tenantry.domain.price import ModelPrice, PriceEdition, PriceError, Step
from tenantry.domain.usage import TokenClass

DECIMALS_MAX = 12  # of a price, as a book is read
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Discount:
    """What an agreement takes off in [start, end), of the models, tiers and classes it names.

    `models` are patterns (`anthropic.*`) over price keys, which also match behind a profile's
    prefix; empty `tiers` or `classes`: all. Either `percent` off, or the price itself.
    """

    name: str
    start: datetime
    end: datetime | None
    models: tuple[str, ...]
    tiers: frozenset[str] = frozenset()
    classes: frozenset[TokenClass] = frozenset()
    percent: Decimal | None = None
    usd_per_million: Decimal | None = None

    def covers(self, key: str, tier: str, token_class: TokenClass) -> bool:
        return (
            (not self.tiers or tier in self.tiers)
            and (not self.classes or token_class in self.classes)
            and any(fnmatchcase(name, pattern) for name in _names(key) for pattern in self.models)
        )

    def of(self, price: Decimal) -> Decimal:
        if self.usd_per_million is not None:
            return self.usd_per_million
        assert self.percent is not None
        return money.shifted(money.times(price, money.less(_HUNDRED, self.percent)), -2)


def discounted(base: PriceEdition, discounts: Sequence[Discount]) -> list[PriceEdition]:
    """The editions that the discounts make of `base`: one for each span between two of their
    instants, from the edition's own on. Several that cover a row apply in their order.

    Raises `PriceError` for a discount that covers no row, and for a price that is not exact.
    """
    begin = base.effective_from
    instants = {d.start for d in discounts} | {d.end for d in discounts if d.end is not None}
    covered: set[int] = set()
    editions = []
    for start in sorted({begin, *(at for at in instants if at > begin)}):
        active = [
            (n, d)
            for n, d in enumerate(discounts)
            if d.start <= start and (d.end is None or start < d.end)
        ]
        models = {key: _model(price, active, covered) for key, price in base.models.items()}
        names = ", ".join(d.name for _, d in active)
        source = f"{base.source} less {names}" if active else base.source
        editions.append(replace(base, effective_from=start, source=source, models=models))
    for number, discount in enumerate(discounts):
        ended = discount.end is not None and discount.end <= begin
        if number not in covered and not ended:
            raise PriceError(f"discount {discount.name} covers no price of {base.source}")
    return editions


def layered(base: PriceEdition, over: PriceEdition) -> PriceEdition:
    """`over`, and of `base` every model that it does not name."""
    return replace(
        over, source=f"{over.source} over {base.source}", models={**base.models, **over.models}
    )


def _model(
    price: ModelPrice, active: Sequence[tuple[int, Discount]], covered: set[int]
) -> ModelPrice:
    tiers = {
        tier: tuple(Step(s.over_tokens, _rates(price.key, tier, s, active, covered)) for s in steps)
        for tier, steps in price.tiers.items()
    }
    return ModelPrice(price.key, tiers)


def _rates(
    key: str, tier: str, step: Step, active: Sequence[tuple[int, Discount]], covered: set[int]
) -> Mapping[TokenClass, Decimal] | None:
    if step.rates is None:
        return None
    rates = {}
    for token_class, figure in step.rates.items():
        for number, discount in active:
            if discount.covers(key, tier, token_class):
                covered.add(number)
                figure = _after(discount, figure, key, token_class)
        rates[token_class] = _exact(figure, key, token_class)
    return rates


def _after(discount: Discount, figure: Decimal, key: str, token_class: TokenClass) -> Decimal:
    try:
        return discount.of(figure)
    except Inexact:  # after many percentages upon each other
        raise PriceError(
            f"{key} {token_class}: discount {discount.name} has to be rounded; give the price"
        ) from None


def _exact(figure: Decimal, key: str, token_class: TokenClass) -> Decimal:
    """Without trailing zeros, so that the same price is stored and compared as the same text."""
    plain = Decimal(money.plain(figure))
    exponent = plain.as_tuple().exponent
    assert isinstance(exponent, int), "a price is finite"
    if -exponent > DECIMALS_MAX:
        raise PriceError(
            f"{key} {token_class}: {plain} has more than {DECIMALS_MAX} decimals; give the price"
        )
    return plain


def _names(key: str) -> tuple[str, ...]:
    """What a pattern may name: the key, and the model behind a profile; never the region."""
    plain = key.partition("@")[0]
    found = parse_model_id(plain)
    if found is None or found.base_id is None or found.base_id == plain:
        return (plain,)
    return (plain, found.base_id)
