"""An edition is planned, shown and stored; what is past or overtaken is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.support.ledger import MODEL, World, open_world, synthetic_prices
from tests.support.postgres import Database

from tenantry.application.price_import import edition_at, plan_import, store_editions
from tenantry.domain.discount import Discount
from tenantry.domain.errors import NotFound
from tenantry.domain.price import PriceError
from tenantry.domain.usage import TokenClass
from tenantry.entrypoints.cli import prices
from tenantry.entrypoints.cli.price_files import OfferOptions

NOW = datetime.now(UTC).replace(microsecond=0)
OUT = TokenClass.OUT


def in_world(database: Database, work: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_world(database) as world:
            await work(world)

    asyncio.run(run())


def out_price(edition) -> Decimal:
    return edition.of(MODEL).rates("default", 1)[OUT]


async def planned(world: World, edition=None, discounts=(), at: datetime = NOW, **options):
    given = {"layer": False, "backdated": False, "now": NOW, **options}
    return await plan_import(world.control, edition, discounts, effective_from=at, **given)


def test_what_would_change_is_told_and_stored_once(database: Database) -> None:
    async def work(world: World) -> None:
        dearer = synthetic_prices(Decimal(2))
        [plan] = await planned(world, dearer)
        assert plan.follows.version == world.prices.version
        assert len(plan.changes) == 15
        assert {change.percent for change in plan.changes} == {Decimal("100.00")}
        assert (await world.control.list_editions())[-1].version == world.prices.version
        [stored] = await store_editions(world.control, [plan])
        assert out_price(await world.control.current_prices()) == 30
        [again] = await planned(world, dearer, at=NOW + timedelta(seconds=1))
        assert again.changes == ()
        assert await store_editions(world.control, [again]) == []
        assert (await world.control.price_edition(stored.version)).models == dearer.models
        with pytest.raises(NotFound):
            await world.control.price_edition(999)

    in_world(database, work)


class FastClock(datetime):
    """A machine's clock that is an hour ahead of the database's."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours=1)


def test_an_edition_without_a_day_begins_by_the_databases_clock(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prices, "datetime", FastClock)
    file = tmp_path / "prices.csv"
    file.write_text(f"model,tier,over_tokens,class,usd_per_million\n{MODEL},,0,out,77\n", "utf-8")
    asked = prices._Asked((file,), None, True, False, OfferOptions(None, (), None), True)

    async def work(world: World) -> None:
        before = await world.control.now()
        [stored] = (await prices._import(world.control, asked)).stored
        assert before <= stored.effective_from <= await world.control.now()
        assert out_price(await world.control.current_prices()) == 77  # it holds from now on

    in_world(database, work)


def test_a_book_of_nothing_is_refused(database: Database) -> None:
    """A download that brought a header alone would have every request refused."""

    async def work(world: World) -> None:
        with pytest.raises(PriceError, match="there is no price in synthetic"):
            await planned(world, replace(synthetic_prices(), models={}))
        assert await planned(world, synthetic_prices())

    in_world(database, work)


def test_the_past_is_refused_unless_it_is_asked_for(database: Database) -> None:
    async def work(world: World) -> None:
        past = NOW - timedelta(days=1)
        with pytest.raises(PriceError, match="is past"):
            await planned(world, synthetic_prices(Decimal(2)), at=past)
        plan = await planned(world, synthetic_prices(Decimal(2)), at=past, backdated=True)
        await store_editions(world.control, plan)
        row = (await world.control.list_editions())[-1]
        assert row.effective_from == past < row.imported_at
        before = await edition_at(world.control, past - timedelta(seconds=1))
        assert (out_price(before), out_price(await edition_at(world.control, past))) == (15, 30)
        with pytest.raises(PriceError, match="no edition"):
            await edition_at(world.control, datetime(2000, 1, 1, tzinfo=UTC))

    in_world(database, work)


def test_discounts_come_and_go_with_editions(database: Database) -> None:
    async def work(world: World) -> None:
        begin, end = NOW + timedelta(days=10), NOW + timedelta(days=20)
        off = Discount("ten", begin, end, (MODEL,), percent=Decimal(10))
        plan = await planned(world, discounts=[off])
        assert [len(one.changes) for one in plan] == [0, 15, 15]
        stored = await store_editions(world.control, plan)
        assert [out_price(edition) for edition in stored] == [Decimal("13.5"), 15]
        assert stored[0].source == "synthetic less ten"
        for at, price in ((begin, "13.5"), (end, "15"), (end - timedelta(seconds=1), "13.5")):
            assert out_price(await edition_at(world.control, at)) == Decimal(price)
        same = await planned(world, discounts=[off])
        assert [one.follows is not None for one in same] == [True] * 3, "the same again is allowed"
        other = replace(off, end=end + timedelta(days=5), percent=Decimal(5))
        with pytest.raises(PriceError, match=r"edition \d+ begins .* within the time"):
            await planned(world, discounts=[other])

    in_world(database, work)


def test_a_layer_needs_something_to_lie_on(database: Database) -> None:
    async def work(world: World) -> None:
        one = synthetic_prices()
        other = replace(one, models={"other": replace(one.of(MODEL), key="other")})
        [plan] = await planned(world, other, layer=True)
        assert {change.kind for change in plan.changes} == {"added"}
        [bare] = await planned(world, other)
        assert {change.kind for change in bare.changes} == {"added", "removed"}
        with pytest.raises(PriceError, match="no price book at that instant"):
            at = datetime(2000, 1, 1, tzinfo=UTC)
            await planned(world, other, at=at, layer=True, backdated=True)

    in_world(database, work)
