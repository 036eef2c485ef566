"""Discounts make exact figures of their own; a price file says what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.support.core import edition

from tenantry.domain.discount import Discount, discounted, layered
from tenantry.domain.price import PriceError
from tenantry.domain.price_change import PriceChange, price_changes
from tenantry.domain.price_file import price_file_from_toml
from tenantry.domain.usage import TokenClass

IN, OUT = TokenClass.UNCACHED_IN, TokenClass.OUT
BASE = edition(
    [
        "anthropic.a-v1:0,default,0,uncached_in,3",
        "anthropic.a-v1:0,default,0,out,15",
        "anthropic.a-v1:0,batch,0,out,7.5",
        "us.anthropic.a-v1:0,default,0,out,16.5",
        "anthropic.a-v1:0@eu-west-1,default,0,out,17",
        "amazon.n-v1:0,default,0,out,0.14",
        "amazon.n-v1:0,default,272000,*,-",
    ]
)
BEGIN = BASE.effective_from
MARCH, JUNE = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def price(book, key: str, of: TokenClass = OUT, tier: str = "default") -> Decimal:
    return book.of(key).rates(tier, 1)[of]


def test_a_discount_has_editions_of_its_own() -> None:
    off = Discount("spring", MARCH, JUNE, ("anthropic.*",), percent=Decimal("12.5"))
    before, within, after = discounted(BASE, [off])
    assert [e.effective_from for e in (before, within, after)] == [BEGIN, MARCH, JUNE]
    assert (before.models, after.models) == (BASE.models, BASE.models)
    assert within.source == "test less spring"
    assert price(within, "anthropic.a-v1:0") == Decimal("13.125")
    assert price(within, "us.anthropic.a-v1:0") == Decimal("14.4375"), "also behind its profile"
    assert price(within, "anthropic.a-v1:0@eu-west-1") == Decimal("14.875")
    assert price(within, "amazon.n-v1:0") == Decimal("0.14")


def test_by_tier_and_class_and_one_upon_the_other() -> None:
    first = Discount(
        "a", BEGIN, None, ("*",), frozenset({"default"}), frozenset({OUT}), Decimal(10)
    )
    fixed = Discount("b", BEGIN, None, ("amazon.n-v1:0",), usd_per_million=Decimal("0.1"))
    [book] = discounted(BASE, [first, fixed])
    assert price(book, "anthropic.a-v1:0") == Decimal("13.5")
    assert price(book, "anthropic.a-v1:0", IN) == 3
    assert price(book, "anthropic.a-v1:0", tier="batch") == Decimal("7.5")
    assert price(book, "amazon.n-v1:0") == Decimal("0.1")
    [both] = discounted(BASE, [first, Discount("c", BEGIN, None, ("*",), percent=Decimal(10))])
    assert price(both, "anthropic.a-v1:0") == Decimal("12.15")
    assert book.models["amazon.n-v1:0"].tiers["default"][1].rates is None, "unknown stays unknown"


def test_a_discount_that_covers_nothing_is_a_mistake() -> None:
    with pytest.raises(PriceError, match="typo covers no price"):
        discounted(BASE, [Discount("typo", BEGIN, None, ("antropic.*",), percent=Decimal(5))])


def test_a_figure_is_never_rounded() -> None:
    odd = Discount("odd", BEGIN, None, ("*",), percent=Decimal("33.33333333333"))
    with pytest.raises(PriceError, match="more than 12 decimals"):
        discounted(BASE, [odd])
    many = [replace(odd, name=f"odd {n}", percent=Decimal("1.123456789012")) for n in range(12)]
    with pytest.raises(PriceError, match=r"discount odd [0-9]+ has to be rounded"):
        discounted(BASE, many)


def test_a_layer_keeps_what_it_does_not_name() -> None:
    over = edition(["amazon.n-v1:0,default,0,out,1"])
    book = layered(BASE, over)
    assert price(book, "amazon.n-v1:0") == 1
    assert price(book, "anthropic.a-v1:0") == 15
    assert len(book.models["amazon.n-v1:0"].tiers["default"]) == 1, "a model is replaced whole"


def test_what_changed_is_told_with_its_percentage() -> None:
    after = edition(
        [
            "anthropic.a-v1:0,default,0,uncached_in,2",
            "anthropic.a-v1:0,default,0,out,15.0",
            "anthropic.a-v1:0,default,0,cache_read,0.3",
        ]
    )
    before = edition(
        [
            "anthropic.a-v1:0,default,0,uncached_in,3",
            "anthropic.a-v1:0,default,0,out,15",
            "amazon.n-v1:0,default,0,out,0",
        ]
    )
    a = "anthropic.a-v1:0"
    assert list(price_changes(before, after)) == [
        PriceChange("removed", "amazon.n-v1:0", "default", 0, "out", Decimal(0), None, None),
        PriceChange("added", a, "default", 0, "cache_read", None, Decimal("0.3"), None),
        PriceChange(
            "changed", a, "default", 0, "uncached_in", Decimal(3), Decimal(2), Decimal("-33.33")
        ),
    ]
    assert len(list(price_changes(None, after))) == 3
    assert list(price_changes(after, after)) == []


DISCOUNT = '[[discounts]]\nname = "d"\nfrom = 2027-01-01T00:00:00Z\nmodels = ["*"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "is not TOML"),
        ("sauce = 1", "unknown field sauce"),
        ("layer = 1", "layer must be true or false"),
        ("effective_from = 2027-01-01", "instant with its zone"),
        ("models = 1", "models must be a table"),
        ('[models."m".default]\nout = 1.5', "decimal in quotes"),
        ('[models."m".default]\nout = true', "decimal in quotes"),
        ('[models."m"]\ndefault = 1', "m default must be a table"),
        (DISCOUNT, "either percent or usd_per_million"),
        (DISCOUNT + 'percent = "100"', "between 0 and 100"),
        (DISCOUNT + "percent = 1.5", "decimal in quotes"),
        (DISCOUNT + 'percent = "x"', "d: percent: x is not a plain decimal number"),
        (DISCOUNT + 'percent = "NaN"', "d: percent: NaN is not"),
        (DISCOUNT + 'percent = "-1"', "d: percent: -1 is not"),
        (
            DISCOUNT + f'percent = "0.{29 * "0"}1"',
            "d: percent: .* at most 9 digits in front",
        ),
        (DISCOUNT + 'usd_per_million = "0.1234567890123"', "d: usd_per_million: .* 12 decimals"),
        (DISCOUNT + 'usd_per_million = "1234567890"', "d: usd_per_million: .* at most 9 digits"),
        (DISCOUNT + 'percent = "1"\nclasses = ["outt"]', "unknown class outt"),
        (DISCOUNT + 'percent = "1"\ntiers = ["default", "gold"]', "unknown tier gold"),
        (DISCOUNT + 'percent = "1"\nuntil = 2026-01-01T00:00:00Z', "until must be after from"),
        (DISCOUNT.replace('["*"]', "[]") + 'percent = "1"', "models must name at least one"),
        (DISCOUNT.replace("2027-01-01T00:00:00Z", '"2027"') + 'percent = "1"', "from must be"),
        (DISCOUNT + 'percent = "1"\nreason = "x"', "unknown field reason"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(PriceError, match=message):
        price_file_from_toml(text, name="f.toml")
