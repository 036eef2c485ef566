"""A price of 0 that was imported by mistake, and what stands in a correction's way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.support.billing import House, months_ago
from tests.support.ledger import MODEL, World, in_world, plan_table, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application import corrections
from tenantry.application.corrections import Corrected, correct_prices
from tenantry.domain.price import COLUMNS, PriceEdition, edition_from_csv
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage

BEFORE = months_ago(2)
NOTHING = Corrected(0, Decimal(0), Decimal(0))


def priced(**by_class: str) -> PriceEdition:
    rows: Sequence[str] = [f"{MODEL},default,0,{name},{price}" for name, price in by_class.items()]
    return edition_from_csv(
        [",".join(COLUMNS), *rows],
        version=0,
        effective_from=datetime(2020, 1, 2, tzinfo=UTC),
        source="mistaken",
    )


async def corrected(
    world: World, who: Principal, wrong: PriceEdition, right: PriceEdition
) -> Corrected:
    return await correct_prices(
        PostgresCorrections(world.databases.control), who.tenant_id, months_ago(6), months_ago(0),
        wrong=wrong.version, right=right,
    )  # fmt: skip


def test_usage_at_a_mistaken_price_of_0_is_corrected_at_its_plans_markup(
    database: Database,
) -> None:
    """Of the version that charged it, as often as it is corrected, and of one tenant alone."""

    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        zero = await world.control.import_prices(priced(out="15", cache_write_5m="0"))
        world.prices = zero
        for who in (anna, bert):
            used = Usage(out=1_000_000, cache_write_5m=1_000_000)
            await house.used(who, used, BEFORE)
            await house.used(who, used, BEFORE, charged=False)
        await world.control.apply_plans({"standard": {**plan_table(), "markup": "9"}})
        right = await world.control.import_prices(synthetic_prices(Decimal(2)))
        there, back = Decimal("22.5"), Decimal("-22.5")  # out 15 more, what was free 7.50
        for wrong, other, moved in (
            (zero, right, there),
            (right, zero, back),
            (zero, right, there),
        ):
            done = await corrected(world, anna, wrong, other)
            assert done == Corrected(2, moved + moved, moved * 3)
            assert await corrected(world, anna, wrong, other) == NOTHING
            assert await world.violations() == []
        assert await world.sums(anna) == (75, Decimal("112.5"))
        assert await world.sums(bert) == (30, 45)

    in_world(database, body)


def test_what_an_edition_has_no_price_for_is_told_and_the_rest_of_its_page_is_corrected(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "PAGE", 2)

    async def body(world: World) -> None:
        house, anna, bert = House.of(world), world.anna, world.bert
        priceless = {}
        for who in (anna, bert):
            await house.used(who, Usage(out=1_000_000), BEFORE)
            priceless[who.tenant_id] = await house.used(who, Usage(cache_read=1_000_000), BEFORE)
            await house.used(who, Usage(out=1_000_000), BEFORE)
        left = priceless[anna.tenant_id]
        partial = await world.control.import_prices(priced(out="20"))
        done = await corrected(world, anna, world.prices, partial)
        assert (done.attempts, done.cost, done.charge, done.left) == (2, 10, 30, 1)
        told = f"{left}: {MODEL}: no price for cache_read: edition {partial.version} cannot correct"
        assert [why.startswith(told) for why in done.why_left] == [True]
        again = await corrected(world, anna, world.prices, partial)
        assert (again.attempts, again.left) == (0, 1), "what is posted once is not posted again"
        whole = await world.control.import_prices(priced(out="20", cache_read="0.60"))
        assert await corrected(world, anna, world.prices, whole) == Corrected(
            1, Decimal("0.3"), Decimal("0.9")
        )
        assert await world.sums(anna) == (Decimal("40.6"), Decimal("121.8"))
        assert await world.sums(bert) == (Decimal("30.3"), Decimal("90.9"))
        assert await world.violations() == []

    in_world(database, body)
