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

from tenantry.application.price_import import (
    NAMED_MAX,
    Overtaken,
    UnknownModels,
    edition_at,
    plan_import,
    refuse_unknown,
    store_editions,
)
from tenantry.domain.discount import Discount
from tenantry.domain.errors import Conflict, NotFound
from tenantry.domain.price import PriceError, edition_from_csv
from tenantry.domain.price_keys import UnknownKey
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
    plan = await plan_import(world.control, edition, discounts, effective_from=at, **given)
    return plan.editions


async def stored(world: World, edition=None, discounts=(), at: datetime = NOW, **options):
    given = {"layer": False, "backdated": False, "now": NOW, **options}
    plan = await plan_import(world.control, edition, discounts, effective_from=at, **given)
    return await store_editions(world.control, plan)


def only(key: str, price: int):
    """One model with one price, as a layer has it."""
    return edition_from_csv(
        ["model,tier,over_tokens,class,usd_per_million", f"{key},,0,out,{price}"],
        version=0, effective_from=NOW, source=f"{key} {price}",
    )  # fmt: skip


def test_what_would_change_is_told_and_stored_once(database: Database) -> None:
    async def work(world: World) -> None:
        dearer = synthetic_prices(Decimal(2))
        [plan] = await planned(world, dearer)
        assert plan.follows.version == world.prices.version
        assert len(plan.changes) == 15
        assert {change.percent for change in plan.changes} == {Decimal("100.00")}
        assert (await world.control.list_editions())[-1].version == world.prices.version
        [one] = await stored(world, dearer)
        assert out_price(await world.control.current_prices()) == 30
        [again] = await planned(world, dearer, at=NOW + timedelta(seconds=1))
        assert again.changes == ()
        assert await stored(world, dearer, at=NOW + timedelta(seconds=1)) == []
        assert (await world.control.price_edition(one.version)).models == dearer.models
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
    offers = OfferOptions(None, (), None)
    asked = prices._Asked((file,), None, True, False, "refuse", offers, True)

    async def work(world: World) -> None:
        before = await world.control.now()
        [one] = (await prices._import(world.control, asked)).stored
        assert before <= one.effective_from <= await world.control.now()
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
        await stored(world, synthetic_prices(Decimal(2)), at=past, backdated=True)
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
        made = await stored(world, discounts=[off])
        assert [out_price(edition) for edition in made] == [Decimal("13.5"), 15]
        assert made[0].source == "synthetic less ten"
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


OTHER, THIRD = "amazon.other-v1:0", "amazon.third-v1:0"
DAY = timedelta(days=1)


async def out_at(world: World, at: datetime, key: str = MODEL) -> dict[str, Decimal]:
    """By tier, the price of what a model says."""
    edition = await edition_at(world.control, at)
    return {
        tier: steps[0].rates[OUT] for tier, steps in edition.of(key).tiers.items() if steps[0].rates
    }


def test_a_layer_that_a_later_edition_would_take_back_is_refused(database: Database) -> None:
    """The later one is a whole list, made of the prices before: they would be back with it."""

    async def work(world: World) -> None:
        [first] = await stored(world, only(OTHER, 5), at=NOW + DAY, layer=True)
        [second] = await stored(world, only(THIRD, 6), at=NOW + 2 * DAY, layer=True)
        known = await world.control.list_editions()
        told = rf"edition {first.version} from .*, edition {second.version} from .* take back 15 "
        with pytest.raises(Overtaken, match=told):
            await planned(world, only(MODEL, 77), layer=True)
        assert await world.control.list_editions() == known
        # Of the days themselves the last one has nothing behind it, and so on to the first.
        for at in (NOW + 2 * DAY, NOW + DAY, NOW):
            [made] = await stored(world, only(MODEL, 77), at=at, layer=True)
            assert made.effective_from == at
        for at in (NOW, NOW + DAY, NOW + 2 * DAY):
            assert await out_at(world, at) == {"default": 77}
        assert await out_at(world, NOW + 2 * DAY, OTHER) == {"default": 5}
        assert await out_at(world, NOW + 2 * DAY, THIRD) == {"default": 6}

    in_world(database, work)


def test_a_layer_lies_over_every_later_edition_where_that_is_asked(database: Database) -> None:
    async def work(world: World) -> None:
        await stored(world, only(OTHER, 4), at=NOW + DAY, layer=True)
        await stored(world, only(OTHER, 5), at=NOW + DAY, layer=True)  # in place of the one before
        await stored(world, only(MODEL, 77), at=NOW + 2 * DAY, layer=True)
        plan = await planned(world, only(MODEL, 77), layer=True, later="onto")
        assert [bool(one.changes) for one in plan] == [True, True, False]
        assert [one.follows.models.keys() for one in plan][1] == {MODEL, OTHER}
        made = await stored(world, only(MODEL, 77), layer=True, later="onto")
        assert [one.effective_from for one in made] == [NOW, NOW + DAY], "the third has it already"
        for at in (NOW, NOW + DAY, NOW + 2 * DAY):
            assert await out_at(world, at) == {"default": 77}
        assert await out_at(world, NOW + DAY, OTHER) == {"default": 5}
        assert await stored(world, only(MODEL, 77), layer=True, later="onto") == []
        for options in ({}, {"layer": True, "discounts": [cheaper(NOW, None)]}):
            with pytest.raises(PriceError, match="only a layer without discounts"):
                await planned(world, only(MODEL, 1), later="onto", **options)
        with pytest.raises(PriceError, match="only a layer without discounts"):
            await planned(world, discounts=[cheaper(NOW, None)], later="onto")

    in_world(database, work)


def cheaper(start: datetime, end: datetime | None) -> Discount:
    return Discount("ten", start, end, (MODEL,), percent=Decimal(10))


def test_an_import_may_hold_until_a_later_edition_begins(database: Database) -> None:
    """A whole list for now, with the next year's stored already, is what a list is for."""

    async def work(world: World) -> None:
        [later] = await stored(world, synthetic_prices(Decimal(2)), at=NOW + DAY)
        with pytest.raises(Overtaken, match=rf"edition {later.version} from"):
            await planned(world, synthetic_prices(Decimal(3)))
        [plan] = await planned(world, synthetic_prices(Decimal(3)), later="until")
        assert plan.until is not None
        assert plan.until.version == later.version
        await stored(world, synthetic_prices(Decimal(3)), later="until")
        assert [(await out_at(world, at))["default"] for at in (NOW, NOW + DAY)] == [45, 30]
        [same] = await planned(world, synthetic_prices(Decimal(3)))
        assert same.changes == (), "what changes nothing has nothing to lose"
        # What begins later with the same prices takes nothing back, whatever comes behind it.
        await stored(world, synthetic_prices(Decimal(4)), at=NOW + 2 * DAY)
        assert await stored(world, synthetic_prices(Decimal(2)))

    in_world(database, work)


def test_a_discount_that_has_no_end_is_taken_back_no_more_than_a_layer(database: Database) -> None:
    async def work(world: World) -> None:
        await stored(world, only(OTHER, 5), at=NOW + 3 * DAY, layer=True)
        with pytest.raises(Overtaken, match="take back 15 "):
            await planned(world, discounts=[cheaper(NOW, None)])
        assert len(await planned(world, discounts=[cheaper(NOW, None)], later="until")) == 1
        over = await stored(world, discounts=[cheaper(NOW, NOW + DAY)])
        assert len(over) == 2, "a discount that is over by then loses nothing"
        within = cheaper(NOW + 2 * DAY, NOW + 4 * DAY)
        for later in ("refuse", "until"):
            with pytest.raises(PriceError, match="within the time of these discounts"):
                await planned(world, discounts=[within], later=later)

    in_world(database, work)


def test_the_command_says_what_can_be_done_and_until_when_it_holds(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(f"model,tier,over_tokens,class,usd_per_million\n{MODEL},,0,out,77\n", "utf-8")
    offers = OfferOptions(None, (), None)

    async def work(world: World) -> None:
        await stored(world, only(OTHER, 5), at=NOW + DAY, layer=True)
        asked = prices._Asked((file,), None, True, False, "refuse", offers, True)
        with pytest.raises(PriceError, match=r"--onto-later does the one, .* --until-later the"):
            await prices._import(world.control, asked)
        done = await prices._import(world.control, replace(asked, later="until"))
        prices._print_planned(done)
        told = f"until {(NOW + DAY).isoformat()}, when edition 2 begins"
        assert told in " ".join(capsys.readouterr().out.split())
        [plan] = prices._to_json(done)["editions"]
        assert plan["until"] == NOW + DAY

    in_world(database, work)


def test_a_new_key_of_no_model_is_stored_where_it_is_meant(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the catalogue there are no models, so that any key is of none."""
    file = tmp_path / "prices.csv"
    header = "model,tier,over_tokens,class,usd_per_million\n"
    file.write_text(f"{header}{MODEL},,0,out,15\n{OTHER},,0,out,7\n", "utf-8")
    offers = OfferOptions(None, (), None)

    async def work(world: World) -> None:
        known = await world.control.list_editions()
        asked = prices._Asked((file,), None, True, False, "refuse", offers, True)
        with pytest.raises(UnknownModels, match=rf"priced by {OTHER}: .*\(--unknown-models\)"):
            await prices._import(world.control, asked)
        assert await world.control.list_editions() == known
        shown = await prices._import(world.control, replace(asked, stores=False))
        assert [each.key for each in shown.unknown] == [OTHER], "the other one was there before"
        done = await prices._import(world.control, replace(asked, unknown=True))
        prices._print_planned(done)
        assert f"no model of the catalogue is priced by {OTHER}" in capsys.readouterr().out
        assert prices._to_json(done)["unknown_models"] == [{"key": OTHER, "near": None}]
        assert len(done.stored) == 1
        assert (await prices._import(world.control, asked)).unknown == [], "it is no new one now"

    in_world(database, work)


def test_of_many_keys_of_no_model_some_are_named() -> None:
    keys = [UnknownKey(f"m{number}") for number in range(NAMED_MAX + 2)]
    with pytest.raises(UnknownModels, match=r"(m\d, ){4}m4 and 2 more: "):
        refuse_unknown(keys)
    refuse_unknown([])


def test_of_many_later_editions_some_are_named(database: Database) -> None:
    async def work(world: World) -> None:
        for day in range(1, NAMED_MAX + 3):
            await stored(world, only(f"m{day}", 1), at=NOW + day * DAY, layer=True)
        with pytest.raises(Overtaken, match=r"(edition .* from .*, ){4}edition .* and 2 more "):
            await planned(world, only(MODEL, 77), layer=True)

    in_world(database, work)


def test_what_is_backdated_is_for_the_record_once_another_has_begun(database: Database) -> None:
    async def work(world: World) -> None:
        await stored(world, only(OTHER, 5), at=NOW + DAY, layer=True)
        past = {"at": NOW - 2 * DAY, "backdated": True}
        with pytest.raises(Overtaken):
            await planned(world, only(MODEL, 77), layer=True, **past)
        await stored(world, only(THIRD, 6), layer=True, later="onto")
        [plan] = await planned(world, only(MODEL, 77), layer=True, **past)
        assert plan.until is not None
        assert plan.until.effective_from == NOW

    in_world(database, work)


def test_a_plan_of_another_book_is_not_stored(database: Database) -> None:
    """What came between could be what this one takes back, or is taken back by."""

    async def work(world: World) -> None:
        given = {"layer": True, "backdated": False, "now": NOW, "effective_from": NOW}
        plan = await plan_import(world.control, only(MODEL, 77), (), **given)
        await stored(world, only(OTHER, 5), at=NOW + DAY, layer=True)
        known = await world.control.list_editions()
        with pytest.raises(Conflict, match="Another edition was stored meanwhile"):
            await store_editions(world.control, plan)
        assert await world.control.list_editions() == known

    in_world(database, work)
