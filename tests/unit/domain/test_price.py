"""A price book is read exactly, kept whole, and what has no price is refused by name."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.core import COLUMNS, edition

from tenantry.domain.price import (
    PriceEdition,
    PriceError,
    Unpriced,
    edition_from_csv,
    edition_to_rows,
)
from tenantry.domain.usage import PRICED_CLASSES, TokenClass

STEPS = [
    "sonnet,default,0,uncached_in,3",
    "sonnet,default,0,out,15",
    "sonnet,default,200000,uncached_in,6",
    "sonnet,default,200000,out,30",
    "gpt,default,0,uncached_in,2",
    "gpt,default,272000,*,-",
]
IN = TokenClass.UNCACHED_IN


def line(model: str, tier: str, over: int, name: str, price: Decimal | None) -> str:
    return f"{model},{tier},{over},{name},{'-' if price is None else format(price, 'f')}"


def again(book: PriceEdition) -> PriceEdition:
    """As it is after it was stored."""
    return edition(line(*row) for row in edition_to_rows(book))


def test_a_step_begins_after_its_number_of_tokens() -> None:
    sonnet = edition(STEPS).of("sonnet")
    assert sonnet.rates("default", 0)[IN] == 3
    assert sonnet.rates("default", 200_000)[IN] == 3
    assert sonnet.rates("default", 200_001)[IN] == 6


def test_a_bound_meets_every_step_up_to_it() -> None:
    sonnet = edition(STEPS).of("sonnet")
    assert [s.over_tokens for s in sonnet.steps("default", 200_000)] == [0]
    assert [s.over_tokens for s in sonnet.steps("default", 200_001)] == [0, 200_000]


def test_what_has_no_price_is_refused_by_name() -> None:
    book = edition(STEPS)
    with pytest.raises(Unpriced, match="nova"):
        book.of("nova")
    with pytest.raises(Unpriced, match="priority"):
        book.of("sonnet").rates("priority", 1)
    with pytest.raises(Unpriced, match="unpriced above 272000"):
        book.of("gpt").rates("default", 272_001)
    assert book.of("gpt").rates("default", 272_000)[IN] == 2


def test_a_step_whose_classes_are_all_without_price_stays_one_when_stored() -> None:
    """It must not fall back to the cheaper step below it."""
    book = edition(["m,default,0,uncached_in,1", "m,default,9,uncached_in,-", "m,default,9,out,-"])
    for read in (book, again(book)):
        with pytest.raises(Unpriced, match="unpriced above 9"):
            read.of("m").rates("default", 10)


def test_comments_and_empty_lines_are_passed_over_and_lines_counted_all_the_same() -> None:
    with pytest.raises(PriceError, match="line 4"):
        edition(["# a comment", "", "m,default,0,uncached_in,x"])


@pytest.mark.parametrize(
    "row",
    [
        "m,default,0,uncached_in",
        "m,default,0,uncached_in,1,2",
        "m,default,,uncached_in,1",
        "m,default,-1,uncached_in,1",
        "m,default,1.5,uncached_in,1",
        "m,default,0,tokens,1",
        "m,default,0,*,1",
        "m,default,0,uncached_in,",
        "m,default,0,uncached_in,NaN",
        "m,default,0,uncached_in,1e3",
        "m,default,0,uncached_in,1_0",
        "m,default,0,uncached_in,١",
        "m,default,0,uncached_in,-1",
        "m,default,0,uncached_in,0.1234567890123",
        ",default,0,uncached_in,1",
        '"a,b",default,0,uncached_in,1',
        "m,two tiers,0,uncached_in,1",
        "m,gold,0,uncached_in,1",
        "m,defualt,0,uncached_in,1",
        '"m,default,0,uncached_in,1',
    ],
)
def test_a_malformed_row_is_refused_with_its_line(row: str) -> None:
    with pytest.raises(PriceError, match="line 2"):
        edition([row])


@pytest.mark.parametrize(
    "rows",
    [
        ["m,default,0,out,1", "m,default,0,out,2"],
        ["m,default,0,out,1", "m,default,0,out,-"],
        ["m,default,0,out,-", "m,default,0,out,1"],
        ["m,default,0,out,1", "m,default,0,*,-"],
        ["m,default,0,*,-", "m,default,0,out,1"],
        ["m,default,5,out,1"],
        ["m,default,0,out,1", "m,flex,5,out,1"],
    ],
)
def test_contradictions_and_holes_are_refused(rows: list[str]) -> None:
    with pytest.raises(PriceError, match="m"):
        edition(rows)


def test_the_columns_are_named() -> None:
    for lines in ([], ["model,price"], [COLUMNS + ",more"]):
        with pytest.raises(PriceError, match="columns"):
            edition_from_csv(lines, version=1, effective_from=edition([]).effective_from, source="")


AMOUNTS = st.none() | st.decimals(0, 10**6, places=9).map(lambda d: d.normalize())
BOOKS = st.dictionaries(
    st.sampled_from(["a.m-v1:0", "us.b", "c"]),
    st.dictionaries(
        st.sampled_from(["flex", "priority"]),
        st.dictionaries(
            st.integers(1, 10**6),
            st.dictionaries(st.sampled_from(sorted(PRICED_CLASSES)), AMOUNTS, min_size=1),
            max_size=2,
        ),
    ),
)


Rates = dict[str, Decimal | None]


@given(BOOKS)
def test_a_book_survives_being_stored(book: dict[str, dict[str, dict[int, Rates]]]) -> None:
    base: Rates = {"out": Decimal(1)}
    made = edition(
        line(model, tier, over, name, price)
        for model, tiers in book.items()
        for tier, steps in tiers.items()
        for over, rates in {**steps, 0: base}.items()
        for name, price in rates.items()
    )
    assert again(made) == made
    assert edition_to_rows(again(made)) == edition_to_rows(made)
