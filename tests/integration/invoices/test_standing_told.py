"""What a line's price was asked for goes by what stands at it: not by usage that a correction took
away from that price, nor, of an invoice of before, otherwise than it did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.archiving import archive_in, month_ago, rolled_up, with_partitions
from tests.support.billing import ISSUER, House, months_ago, period_of
from tests.support.ledger import MODEL, World, in_world, synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application.archiving import archive_month
from tenantry.application.corrections import correct_prices
from tenantry.application.invoicing import draft_from, regenerate
from tenantry.domain.invoice import content_sha256
from tenantry.domain.invoice_edition import PRESENT, Edition
from tenantry.domain.tenant import Principal
from tenantry.domain.usage import Usage
from tenantry.ports.admission import UNDELIVERED
from tenantry.ports.billing import Finalised

LAST, BEFORE = months_ago(1), months_ago(2)
FIRST_FROM, SECOND_FROM = "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"
ONE, TWO = Usage(out=1_000_000), Usage(out=2_000_000)
Told = tuple[str, int, list[str], str]


def told(document: Mapping[str, Any]) -> list[Told]:
    """Of each line of a model: the price, the quantity, by which tiers and since when."""
    return [
        (line["unit_price"], line["quantity"], line["service_tiers"], line["priced_from"])
        for line in document["lines"]
        if line["model"] == MODEL
    ]


async def used_by_both(world: World, at: datetime) -> House:
    """By default at 45, by batch at 22.50; the second edition asks twice as much."""
    house = House.of(world)
    for who in (world.anna, world.bert):
        await house.contract(who)
        await house.since(who, at.replace(day=1))
        await house.used(who, TWO, at)
        await house.used(who, ONE, at, service_tier="batch")
    prices = synthetic_prices(Decimal(2), datetime.fromisoformat(SECOND_FROM))
    await world.control.import_prices(prices)
    return house


async def corrected(world: World, who: Principal, at: datetime, attempts: int = 2) -> None:
    span, right = period_of(who, at), await world.directory.edition(2)
    fixes = PostgresCorrections(world.databases.control)
    done = await correct_prices(fixes, who.tenant_id, span.start, span.end, wrong=1, right=right)
    assert (done.attempts, done.left) == (attempts, 0)


async def is_made_again(house: House, who: Principal, done: Finalised) -> bool:
    stored = await house.billing.book.document(who.tenant_id, str(done.number))
    made = [await regenerate(invoices, who.tenant_id, stored)
            for invoices in (house.billing.book, house.billing.invoices)]  # fmt: skip
    return all(each.same for each in made)


async def approved_before(house: House, who: Principal, at: datetime) -> None:
    """A draft by the rules of before waits for a person."""
    book, period = house.billing.book, period_of(who, at)
    reading = await book.read(who.tenant_id, period, await book.close_ledger(who.tenant_id, period))
    draft = draft_from(reading, ISSUER, Edition.CHANGES_TOLD)
    await book.store_draft(who.tenant_id, period, draft, content_sha256(draft))


STANDS = [("45", 1_000_000, ["batch"], SECOND_FROM), ("90", 2_000_000, ["default"], SECOND_FROM)]
POSTED = [
    ("45", 1_000_000, ["batch", "default"], FIRST_FROM),
    ("90", 2_000_000, ["default"], SECOND_FROM),
]
UNTOUCHED = [("22.5", 1_000_000, ["batch"], FIRST_FROM), ("45", 2_000_000, ["default"], FIRST_FROM)]


def test_a_corrected_price_is_told_of_what_stands_at_it(database: Database) -> None:
    async def body(world: World) -> None:
        house, anna, bert = await used_by_both(world, LAST), world.anna, world.bert
        await corrected(world, anna, LAST)
        made = await house.finalise(anna, period_of(anna, LAST))
        assert told(made.document) == STANDS
        assert (made.document["edition"], made.document["price_versions"]) == (PRESENT, [2])
        words = [line["description"] for line in made.document["lines"]]
        assert words == [f"{MODEL}: output tokens, {tier}" for tier in ("batch", "default tier")]
        other = await house.finalise(bert, period_of(bert, LAST))
        assert told(other.document) == UNTOUCHED
        assert other.document["price_versions"] == [1]
        assert await is_made_again(house, anna, made)
        await rolled_up(world)
        await world.as_superuser("DELETE FROM tenantry.mended_hour")  # nothing was missed
        assert await is_made_again(house, anna, made) and await is_made_again(house, bert, other)

    in_world(database, body)


def test_what_was_approved_by_the_rules_of_before_stays_what_it_was(
    database: Database, tmp_path: Path
) -> None:
    """Also from roll-ups, and once its month is archived; made anew it goes by what stands."""

    async def body(world: World) -> None:
        await with_partitions(world, month_ago(1))
        house, anna, bert = await used_by_both(world, LAST), world.anna, world.bert
        for who in (anna, bert):
            await corrected(world, who, LAST)
            await approved_before(house, who, LAST)
        await rolled_up(world)
        old = await house.finalise(anna, period_of(anna, LAST))
        assert (old.document["edition"], old.document["price_versions"]) == (5, [1, 2])
        assert sorted(told(old.document)) == POSTED
        assert await is_made_again(house, anna, old)
        void = await house.finalise(bert, period_of(bert, LAST))
        assert await house.billing.book.void(bert.tenant_id, str(void.number), "wrong address")
        new = await house.finalise(bert, period_of(bert, LAST))
        assert (told(new.document), new.document["edition"]) == (STANDS, PRESENT)
        for who, each in ((anna, old), (bert, void), (bert, new)):
            assert await is_made_again(house, who, each)
        await archive_month(archive_in(world, tmp_path), month_ago(1))
        assert await world.fetch("SELECT FROM cost_entry") == []
        for who, each in ((anna, old), (bert, new)):
            assert await is_made_again(house, who, each)

    in_world(database, body)


def test_what_is_taken_back_from_an_invoice_is_told_as_that_had_it(database: Database) -> None:
    """Corrected in a final period: at 22.50 nothing stands any more, at 45 other usage does."""

    async def body(world: World) -> None:
        house, anna, bert = await used_by_both(world, BEFORE), world.anna, world.bert
        for who in (anna, bert):
            first = await house.finalise(who, period_of(who, BEFORE))
            assert told(first.document) == UNTOUCHED
        await corrected(world, anna, BEFORE)
        made = await house.finalise(anna, period_of(anna, LAST))
        assert sorted(told(made.document)) == [
            ("22.5", -1_000_000, ["batch"], FIRST_FROM),
            ("45", -1_000_000, ["batch", "default"], FIRST_FROM),
            ("90", 2_000_000, ["default"], SECOND_FROM),
        ]
        assert {line["reason"] for line in made.document["lines"]} == {"price_corrected"}
        assert await is_made_again(house, anna, made)

    in_world(database, body)


def test_a_charge_that_was_taken_back_alone_leaves_no_word(database: Database) -> None:
    """The customer never got the answer: only the provider's book keeps its posting and tier."""

    async def body(world: World) -> None:
        anna, bert = world.anna, world.bert
        for who in (anna, bert):
            lost = await world.admitted(who)
            await world.settle(lost, world.outcome(ONE))
            if who is anna:
                unheard = world.outcome(ONE, charged=False, flags=frozenset({UNDELIVERED}))
                assert (await world.settle(lost, unheard)).posted
            await House.of(world).move(lost.request_id, LAST)
        house = await used_by_both(world, LAST)
        await corrected(world, anna, LAST, attempts=3)
        made = await house.finalise(anna, period_of(anna, LAST))
        assert (told(made.document), made.document["price_versions"]) == (STANDS, [2])
        assert await is_made_again(house, anna, made)
        other = await house.finalise(bert, period_of(bert, LAST))
        assert told(other.document)[1] == ("45", 3_000_000, ["default"], FIRST_FROM)

    in_world(database, body)
