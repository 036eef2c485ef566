"""A markup by model or class charges each line its own; cost never changes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tenantry.domain.markup import Markups, marked_up
from tenantry.domain.rating import Line, Rated
from tenantry.domain.usage import TokenClass

RATED = Rated(
    (
        Line(TokenClass.UNCACHED_IN, 1000, Decimal(3), Decimal("0.003"), Decimal("0.009")),
        Line(TokenClass.OUT, 500, Decimal(15), Decimal("0.0075"), Decimal("0.0225")),
    ),
    Decimal("0.0105"),
    Decimal("0.0315"),
)
MARKUPS = Markups(
    Decimal(3),
    by_model={"opus": Decimal("1.5")},
    by_class={TokenClass.OUT: Decimal(2), TokenClass.CACHE_READ: Decimal(10)},
)


@pytest.mark.parametrize(
    ("model", "charges"),
    [("nova", ["0.009", "0.015"]), ("opus", ["0.0045", "0.01125"])],
)
def test_each_line_has_the_most_particular_markup(model: str, charges: list[str]) -> None:
    made = marked_up(RATED, model, MARKUPS)
    assert [line.charge for line in made.lines] == list(map(Decimal, charges))
    assert made.charge == sum(map(Decimal, charges))
    assert made.cost == RATED.cost
    assert [line.cost for line in made.lines] == [line.cost for line in RATED.lines]


def test_the_default_alone_is_the_plans_one_markup() -> None:
    assert marked_up(RATED, "nova", Markups(Decimal(3))) == RATED


def test_a_reservation_takes_the_dearest() -> None:
    assert (MARKUPS.dearest("nova"), MARKUPS.dearest("opus")) == (Decimal(10), Decimal("1.5"))


@pytest.mark.parametrize("wrong", ["-1", "NaN", "Infinity"])
def test_a_markup_is_a_number_from_0(wrong: str) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        Markups(Decimal(3), by_model={"nova": Decimal(wrong)})
