"""Tax by rate and label: what is taxed at one rate is summed, and rounded once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tenantry.domain import money
from tenantry.domain.proration import to_currency


@dataclass(frozen=True, slots=True)
class TaxRate:
    rate: Decimal  # a fraction: 8.25 % is 0.0825
    label: str


NO_TAX = TaxRate(money.ZERO, "Tax")  # of a contract that says nothing of it


@dataclass(frozen=True, slots=True)
class Taxed:
    """What lines of one rate come to, in whole minor units of the document's currency."""

    by: TaxRate
    net: Decimal
    amount: Decimal  # the tax: of the net, rounded once


def taxed_apart(nets: Iterable[tuple[TaxRate, Decimal]], currency: str) -> tuple[Taxed, ...]:
    """One for each rate and label, in the order in which they come first. Amounts are in whole
    minor units."""
    by_rate: dict[TaxRate, list[Decimal]] = {}
    for by, net in nets:
        by_rate.setdefault(by, []).append(net)
    found = []
    for by, amounts in by_rate.items():
        net = money.to_currency(money.total(amounts), currency)
        found.append(Taxed(by, net, to_currency(Fraction(net) * Fraction(by.rate), currency)))
    return tuple(found)
