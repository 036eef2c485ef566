"""By how much list price is a multiple of cost, where that differs by model or token class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tenantry.domain import money
from tenantry.domain.rating import Rated
from tenantry.domain.usage import TokenClass


@dataclass(frozen=True, slots=True)
class Markups:
    """The most particular holds: a model's, else a token class's, else the default."""

    default: Decimal
    by_model: Mapping[str, Decimal] = field(default_factory=dict)  # by catalogue id
    by_class: Mapping[TokenClass, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for markup in (self.default, *self.by_model.values(), *self.by_class.values()):
            if not (markup.is_finite() and markup >= 0):
                raise ValueError(f"a markup of {markup}: it must be finite and not negative")

    def of(self, model: str, token_class: TokenClass) -> Decimal:
        by_class = self.by_class.get(token_class, self.default)
        return self.by_model.get(model, by_class)

    def dearest(self, model: str) -> Decimal:
        """The most that any class of a model can be multiplied by: what a reservation takes."""
        return max(self.of(model, token_class) for token_class in TokenClass)


def marked_up(rated: Rated, model: str, markups: Markups) -> Rated:
    """The same cost, charged by the markup of each line's own class."""
    lines = tuple(
        replace(line, charge=money.times(line.cost, markups.of(model, line.token_class)))
        for line in rated.lines
    )
    return Rated(lines, rated.cost, money.total(line.charge for line in lines))
