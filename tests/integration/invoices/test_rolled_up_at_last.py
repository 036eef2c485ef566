"""Hours of a period that is invoiced before they are rolled up: the next invoice has what came to
them by a clock that was wrong, and no first roll-up throws it away."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tests.support.invoiced_past import LATE, Past, adjusted, in_past, while_one_is_made
from tests.support.ledger import synthetic_prices
from tests.support.postgres import Database

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.application.corrections import correct_prices
from tenantry.application.rolling_up import roll_up
from tenantry.ports.billing import Finalised


async def is_on_the_second(past: Past, first: Sequence[Finalised]) -> None:
    assert [made.document["total"] for made in first] == ["31.50", "31.50"]
    assert [await past.late_in_draft(who) for who in past.people] == [LATE, 0]
    second = [await past.finalise(who, past.after) for who in past.people]
    assert [adjusted(made) for made in second] == [LATE, 0]
    for who, *made in zip(past.people, first, second, strict=True):
        assert await past.same(who, *made)
        assert await past.late_in_draft(who) == 0
    assert await past.mended() == []
    assert await past.world.violations() == []


def test_what_comes_to_an_hour_between_its_invoice_and_its_first_roll_up_is_on_the_next_one(
    database: Database,
) -> None:
    async def body(past: Past) -> None:
        await past.not_rolled_up()
        first = [await past.finalise(who, past.before) for who in past.people]
        await past.late(past.world.anna)
        await roll_up(past.rollups)
        await is_on_the_second(past, first)

    in_past(database, body)


def test_what_is_rolled_up_at_first_while_its_invoice_is_made_is_on_the_next_one(
    database: Database,
) -> None:
    async def body(past: Past) -> None:
        await past.not_rolled_up()

        async def meanwhile() -> None:
            await past.late(past.world.anna)
            await roll_up(past.rollups)

        while_one_is_made(past, meanwhile)
        first = [await past.finalise(who, past.before) for who in past.people]
        await is_on_the_second(past, first)

    in_past(database, body)


def test_a_price_that_is_corrected_before_the_first_roll_up_is_on_the_next_invoice(
    database: Database,
) -> None:
    """The invoice's watermark is of a clock that was an hour ahead."""

    async def body(past: Past) -> None:
        anna = past.world.anna
        await past.not_rolled_up()
        first = [await past.finalise(who, past.before) for who in past.people]
        for table in ("invoice", "invoice_run"):
            await past.house.as_the_past(
                f"UPDATE tenantry.{table} SET watermark = watermark + interval '1 hour'"
            )
        right = await past.world.control.import_prices(synthetic_prices(Decimal(2)))
        book, span = PostgresCorrections(past.world.databases.control), past.before
        await correct_prices(book, anna.tenant_id, span.start, span.end, wrong=1, right=right)
        await roll_up(past.rollups)
        assert [await past.late_in_draft(who) for who in past.people] == [Decimal("31.5"), 0]
        assert await past.read_again(anna, first[0]) == Decimal("31.5")

    in_past(database, body)


def test_what_is_rolled_up_at_first_before_its_invoice_is_on_it(database: Database) -> None:
    async def body(past: Past) -> None:
        anna = past.world.anna
        await past.not_rolled_up()
        await past.late(anna)
        await roll_up(past.rollups)
        first = await past.finalise(anna, past.before)
        assert first.document["total"] == "33.30"
        second = await past.finalise(anna, past.after)
        assert adjusted(second) == 0
        assert await past.same(anna, first, second)
        assert await past.world.violations() == []

    in_past(database, body)
