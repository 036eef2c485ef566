"""What differs between two editions of the price book, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from tenantry.domain import money
from tenantry.domain.price import PriceEdition, edition_to_rows

ChangeKind = Literal["added", "removed", "changed"]
Place: TypeAlias = tuple[str, str, int, str]  # model, tier, over_tokens, class
_SHOWN = Decimal("0.01")  # of a percentage, for people


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One row. A price of None: the row says that there is none (`-`), or there is no row.

    `percent` is of the price before, to a hundredth; None where either is missing or 0.
    """

    kind: ChangeKind
    model: str
    tier: str
    over_tokens: int
    token_class: str
    before: Decimal | None
    after: Decimal | None
    percent: Decimal | None

    @property
    def place(self) -> Place:
        return self.model, self.tier, self.over_tokens, self.token_class


def price_changes(before: PriceEdition | None, after: PriceEdition) -> Iterator[PriceChange]:
    """In the order of model, tier, step and class; nothing where both editions say the same."""
    old = {row[:4]: row[4] for row in edition_to_rows(before)} if before is not None else {}
    new = {row[:4]: row[4] for row in edition_to_rows(after)}
    for place in sorted(old.keys() | new.keys()):
        was, now = old.get(place), new.get(place)
        if place not in old:
            yield PriceChange("added", *place, None, now, None)
        elif place not in new:
            yield PriceChange("removed", *place, was, None, None)
        elif was != now:
            yield PriceChange("changed", *place, was, now, _percent(was, now))


def _percent(was: Decimal | None, now: Decimal | None) -> Decimal | None:
    if not was or now is None:
        return None
    share = money.ratio(money.less(now, was), was)
    return money.rounded(money.shifted(share, 2), _SHOWN)
