"""Prices that step down, or up, with the quantity of a period; exact.

Graduated: each token costs what its own step says, as income tax does. Volume: every token costs
what the step of the whole quantity says, so that one more token can make the sum smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Literal, assert_never

from tenantry.domain import money

Mode = Literal["graduated", "volume"]


@dataclass(frozen=True, slots=True)
class Step:
    """Tokens up to and with the `up_to`th of the period; None: all that are left."""

    up_to: int | None
    per_million: Decimal


@dataclass(frozen=True, slots=True)
class Portion:
    """What one step prices: `quantity` tokens at `per_million`, of them all those after `after`."""

    after: int
    quantity: int
    per_million: Decimal

    @property
    def amount(self) -> Decimal:
        """Unrounded."""
        return money.per_million(self.quantity, self.per_million)


@dataclass(frozen=True, slots=True)
class Tiers:
    """Invariants: the steps' ends grow, and the last one has none, so no quantity is unpriced."""

    mode: Mode
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        *bounded, last = self.steps
        ends = [0, *(step.up_to or 0 for step in bounded)]
        assert last.up_to is None, "the last step has no end"
        assert all(low < high for low, high in pairwise(ends)), "steps grow"

    def portions(self, quantity: int) -> tuple[Portion, ...]:
        """The quantity by the steps that price it; nothing where there is none."""
        assert quantity >= 0, f"{quantity} tokens"
        if self.mode == "graduated":
            return tuple(self._graduated(quantity))
        if self.mode == "volume":
            return tuple(self._volume(quantity))
        assert_never(self.mode)

    def amount(self, quantity: int) -> Decimal:
        """Unrounded, in the currency of the prices."""
        return money.total(portion.amount for portion in self.portions(quantity))

    def _graduated(self, quantity: int) -> Iterator[Portion]:
        after = 0
        for step in self.steps:
            end = quantity if step.up_to is None else min(quantity, step.up_to)
            if end > after:
                yield Portion(after, end - after, step.per_million)
                after = end

    def _volume(self, quantity: int) -> Iterator[Portion]:
        for step in self.steps:
            if quantity and (step.up_to is None or quantity <= step.up_to):
                yield Portion(0, quantity, step.per_million)
                return
