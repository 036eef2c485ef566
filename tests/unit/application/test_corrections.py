"""What an attempt's lines should have been by another edition: same markup, other cost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from tests.support.core import edition, rows

from tenantry.application.corrections import TOLD_MAX, correct_prices, fix_of
from tenantry.domain import money
from tenantry.domain.errors import Conflict
from tenantry.domain.ids import TenantId
from tenantry.domain.markup import Markup
from tenantry.domain.price import GUARDRAILS
from tenantry.domain.usage import TokenClass
from tenantry.ports.corrections import Fix, Rated, StillOpen

NOVEMBER = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
NOW = datetime(2027, 1, 1, tzinfo=UTC)
RIGHT = edition(rows("m", {"uncached_in": "4", "out": "20"}), version=9)
RATED = Rated(
    datetime(2026, 11, 3, tzinfo=UTC),
    UUID(int=7),
    0,
    1,
    "m",
    "eu-west-1",
    "default",
    ["uncached_in", "out"],
    [1_000_000, 500],
    [Decimal(3), Decimal(15)],
    [Decimal(3), Decimal("0.0075")],
    [Decimal(9), Decimal("37.5")],  # markup 3 in, 2.5 out
    [Decimal(9), Decimal("0.01875")],
)


def test_each_class_keeps_its_markup() -> None:
    fix = fix_of(RATED, RIGHT)
    assert (fix.price_version, fix.changes) == (9, True)
    assert (list(fix.unit_costs), list(fix.costs)) == ([4, 20], [4, Decimal("0.01")])
    assert list(fix.unit_prices) == [12, 50]
    assert list(fix.charges) == [12, Decimal("0.025")]


def test_a_guardrails_units_are_corrected_with_the_call_that_they_looked_at() -> None:
    guarded = replace(
        RATED,
        token_classes=["uncached_in", "guardrail_content"],
        quantities=[1_000_000, 2],
        unit_costs=[Decimal(3), Decimal(150)],
        costs=[Decimal(3), Decimal("0.0003")],
        unit_prices=[Decimal(9), Decimal(300)],
        charges=[Decimal(9), Decimal("0.0006")],
    )
    priced = rows("m", {"uncached_in": "3"}) + rows(GUARDRAILS, {"guardrail_content": "75"})
    fix = fix_of(guarded, edition(priced, version=9))
    assert list(fix.costs) == [3, Decimal("0.00015")]
    assert list(fix.charges) == [9, Decimal("0.0003")]


def test_what_the_customer_did_not_pay_stays_so() -> None:
    fix = fix_of(replace(RATED, unit_prices=[], charges=[]), RIGHT)
    assert (list(fix.unit_costs), list(fix.unit_prices), list(fix.charges)) == ([4, 20], [], [])


def test_the_same_prices_change_nothing() -> None:
    same = edition(rows("m", {"uncached_in": "3", "out": "15"}), version=9)
    assert not fix_of(RATED, same).changes


def test_the_regions_own_price_is_that_of_the_right_edition() -> None:
    """As a call of that region would have been priced by it."""
    own = edition(
        rows("m", {"uncached_in": "4", "out": "20"})
        + rows("m@eu-west-1", {"uncached_in": "5", "out": "25"}),
        version=9,
    )
    assert list(fix_of(RATED, own).unit_costs) == [5, 25]
    assert list(fix_of(replace(RATED, region="us-east-1"), own).unit_costs) == [4, 20]
    assert list(fix_of(replace(RATED, price_key="m@eu-west-1"), RIGHT).unit_costs) == [4, 20]


def test_guardrail_units_and_cached_answers_do_not_stand_in_the_way() -> None:
    guarded = edition(
        rows("m", {"uncached_in": "4", "out": "20"})
        + rows("amazon.bedrock-guardrails", {"guardrail_content": "150"}),
        version=9,
    )
    rated = replace(
        RATED,
        token_classes=["cache_hit", "uncached_in", "guardrail_content"],
        quantities=[1, 1_000_000, 2],
        unit_costs=[Decimal(0), Decimal(3), Decimal(150)],
        costs=[Decimal(0), Decimal(3), Decimal("0.0003")],
        unit_prices=[Decimal(1_000), Decimal(9), Decimal(450)],
        charges=[Decimal("0.001"), Decimal(9), Decimal("0.0009")],
    )
    fix = fix_of(rated, guarded)
    assert list(fix.unit_prices) == [1_000, 12, 450]
    assert list(fix.charges) == [Decimal("0.001"), 12, Decimal("0.0009")]


def test_without_a_price_or_a_markup_nothing_is_corrected() -> None:
    with pytest.raises(Conflict, match="edition 9 cannot correct it"):
        fix_of(RATED, edition(rows("m", {"uncached_in": "4"}), version=9))
    free = replace(RATED, unit_costs=[Decimal(0), Decimal(15)])
    with pytest.raises(Conflict, match=f"{RATED.request_id}: uncached_in .* no markup to keep"):
        fix_of(free, RIGHT)


def test_where_nothing_had_a_cost_the_markup_is_that_of_the_plan_of_then() -> None:
    free = replace(
        RATED,
        unit_costs=[Decimal(0), Decimal(15)],
        costs=[Decimal(0), Decimal("0.0075")],
        unit_prices=[Decimal(0), Decimal("37.5")],
        charges=[Decimal(0), Decimal("0.01875")],
        markup=Markup(Decimal(2), {TokenClass.UNCACHED_IN: Decimal("3.5")}),
    )
    assert list(fix_of(free, RIGHT).unit_prices) == [14, 50]
    assert list(fix_of(free, RIGHT).charges) == [14, Decimal("0.025")]


def test_what_cannot_be_corrected_is_told_and_holds_up_nothing_else() -> None:
    free = replace(RATED, request_id=UUID(int=8), unit_costs=[Decimal(0), Decimal(15)])
    other = replace(RATED, request_id=UUID(int=9), price_key="n")
    pages = [[free, RATED, other], [free] * TOLD_MAX, []]
    ledger = Ledger(pages, 9)
    done = asyncio.run(
        correct_prices(ledger, TenantId("tnt_a"), *NOVEMBER, wrong=7, right=RIGHT)  # type: ignore[arg-type]
    )
    assert (done.attempts, ledger.posted, done.left) == (1, 1, 2 + TOLD_MAX)
    assert len(done.why_left) == TOLD_MAX
    assert done.why_left[0].startswith(f"{free.request_id}: uncached_in was posted without a cost")
    assert done.why_left[1].startswith(f"{other.request_id}: n: no price in edition 9")


def test_what_is_still_open_is_left_and_told_behind_what_is_refused() -> None:
    other = replace(RATED, price_key="n")
    ledger = Ledger([[RATED, other], []], 9)
    ledger.open = StillOpen(1_003, [(UUID(int=5), 1), (UUID(int=6), 1_002)])
    done = asyncio.run(
        correct_prices(ledger, TenantId("tnt_a"), *NOVEMBER, wrong=7, right=RIGHT)  # type: ignore[arg-type]
    )
    assert (done.attempts, done.left) == (1, 1_004)
    assert done.why_left[1:] == (
        f"{UUID(int=5)}: an attempt is still open; it settles at edition 7: run again",
        f"{UUID(int=6)}: 1,002 attempts are still open; they settle at edition 7: run again",
    )
    ledger = Ledger([[other] * TOLD_MAX, []], 9)
    ledger.open = StillOpen(1, [(UUID(int=5), 1)])
    done = asyncio.run(
        correct_prices(ledger, TenantId("tnt_a"), *NOVEMBER, wrong=7, right=RIGHT)  # type: ignore[arg-type]
    )
    assert (done.left, len(done.why_left)) == (TOLD_MAX + 1, TOLD_MAX)


class Ledger:
    """Pages of what can be corrected; its oldest month is archived while one of them is read."""

    open = StillOpen(0)

    def __init__(self, pages: list[list[Rated]], archived_at: int) -> None:
        self.pages, self.archived_at, self.reads, self.posted = pages, archived_at, 0, 0

    async def correctable(self, *_: object) -> list[Rated]:
        self.reads += 1
        return self.pages[self.reads - 1] if self.reads < self.archived_at else []

    async def archived_through(self) -> datetime | None:
        return datetime(2026, 12, 1, tzinfo=UTC) if self.reads >= self.archived_at else None

    async def still_open(self, *_: object) -> StillOpen:
        return self.open

    async def now(self) -> datetime:
        return NOW

    async def correct(self, _: object, fixes: Sequence[Fix]) -> Sequence[Fix]:
        self.posted += len(fixes)
        return fixes


@pytest.mark.parametrize(("archived_at", "posted"), [(1, 0), (2, 1)])
def test_what_is_archived_meanwhile_is_told(archived_at: int, posted: int) -> None:
    ledger = Ledger([[RATED], [RATED], []], archived_at)
    span = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(Conflict, match="2026-11 and what came before it is archived"):
        asyncio.run(correct_prices(ledger, TenantId("tnt_a"), *span, wrong=7, right=RIGHT))
    assert ledger.posted == posted


def test_by_how_much_both_books_moved_has_every_digit() -> None:
    price, markup = Decimal("3.123456789012"), Decimal("3.333333333333")
    cost = money.per_million(1_000_003, price)
    rated = replace(
        RATED,
        token_classes=["uncached_in"],
        quantities=[1_000_003],
        unit_costs=[price],
        costs=[cost],
        unit_prices=[money.times(price, markup)],
        charges=[money.times(cost, markup)],
    )
    done = asyncio.run(
        correct_prices(
            Ledger([[rated], []], 9),  # type: ignore[arg-type]
            TenantId("tnt_a"),
            datetime(2026, 11, 1, tzinfo=UTC),
            datetime(2026, 12, 1, tzinfo=UTC),
            wrong=7,
            right=RIGHT,
        )
    )
    moved = (4 - Fraction(price)) * Fraction(1_000_003, 10**6)
    assert Fraction(done.cost) == moved
    assert Fraction(done.charge) == moved * Fraction(markup)


def test_a_wrong_edition_without_a_cost_leaves_the_markup_of_the_first_posting() -> None:
    free = replace(
        RATED,
        unit_costs=[Decimal(0), Decimal(15)],
        costs=[Decimal(0), Decimal("0.0075")],
        unit_prices=[Decimal(0), Decimal("37.5")],
        charges=[Decimal(0), Decimal("0.01875")],
        step=1,
        first_unit_costs=RATED.unit_costs,
        first_unit_prices=RATED.unit_prices,
    )
    assert list(fix_of(free, RIGHT).unit_prices) == [12, 50]


def test_one_class_at_two_prices_is_not_guessed_at() -> None:
    twice = replace(RATED, token_classes=["out", "out"])
    with pytest.raises(Conflict, match=r"two prices of one class: .* --invariants"):
        fix_of(twice, RIGHT)


def test_it_goes_on_for_as_many_pages_as_there_are() -> None:
    pages = 20_001
    ours = replace(RATED, unit_prices=[], charges=[])  # the customer pays nothing of it
    ledger = Ledger([[ours]] * pages + [[]], archived_at=pages + 2)
    done = asyncio.run(
        correct_prices(ledger, TenantId("tnt_a"), *NOVEMBER, wrong=7, right=RIGHT)  # type: ignore[arg-type]
    )
    assert done.attempts == pages


def test_what_is_admitted_meanwhile_is_not_in_the_span() -> None:
    """So that it ends, however fast its tenant goes on."""
    asked = []

    class Asked(Ledger):
        async def correctable(self, *given: object) -> list[Rated]:
            asked.append(given[1:3])
            return await super().correctable(*given)

    start, _ = NOVEMBER
    for end, until in ((datetime.max.replace(tzinfo=UTC), NOW), (NOVEMBER[1], NOVEMBER[1])):
        asyncio.run(
            correct_prices(
                Asked([[RATED], []], 9),  # type: ignore[arg-type]
                TenantId("tnt_a"), start, end, wrong=7, right=RIGHT,
            )
        )  # fmt: skip
        assert asked == [(start, until)] * 2
        asked.clear()
