"""Months leave the database only when every period in them is final, and invoices hold after it."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import asyncpg
import pytest
from tests.support.archiving import archive_in, instant_of, month_ago, rolled_up, with_partitions
from tests.support.billing import House, months_ago, period_of
from tests.support.ledger import World, in_world, open_world, synthetic_prices
from tests.support.postgres import Database
from tests.support.postings import a_posting, post

from tenantry.adapters.postgres.corrections import PostgresCorrections
from tenantry.adapters.postgres.cost_book import PostgresCostBook
from tenantry.adapters.sorting import DiskSorter
from tenantry.application.archiving import archive_month, verify_archives
from tenantry.application.corrections import correct_prices
from tenantry.application.invoicing import regenerate
from tenantry.application.reconcile_bill import BillReport, BillSides, reconcile_bill
from tenantry.domain.billing_name import BillingNames
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.errors import Conflict
from tenantry.domain.usage import Usage

LAST = month_ago(1)
USED = Usage(uncached_in=1_000_000, out=500_000)  # charge 31.5


def test_a_month_goes_when_its_periods_are_final(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        house, archive = House.of(world), archive_in(world, tmp_path)
        await with_partitions(world, LAST)
        for who in (world.anna, world.bert):
            await house.contract(who)
            await house.since(who, months_ago(1, day=1))
            await house.used(who, USED, months_ago(1))
        await rolled_up(world)
        period = period_of(world.anna, months_ago(1))
        await house.finalise(world.anna, period)
        with pytest.raises(Conflict, match=f"1 tenants have a period.*{world.bert.tenant_id}"):
            await archive_month(archive, LAST)
        bert = await house.finalise(world.bert, period)

        done = await archive_month(archive, LAST)
        assert done.rows == 4
        assert await world.fetch("SELECT FROM charge_entry") == []
        [row] = await world.ledger.usage(world.bert, period.start, period.end, [])
        assert row.charge == Decimal("31.5")
        assert bert.number is not None
        stored = await house.billing.invoices.document(world.bert.tenant_id, bert.number)
        reading = await house.billing.book.read(
            world.bert.tenant_id, period, stored.watermark, as_of=stored.issued_at
        )
        assert sum(line.charge for line in reading.usage) == Decimal("31.5")
        # A void gives the usage back, and it can be invoiced again without a row in the ledger.
        await house.billing.book.void(world.bert.tenant_id, bert.number, "wrong address")
        again = await house.finalise(world.bert, period)
        assert again.document["lines"] == bert.document["lines"]
        assert len(await verify_archives(archive)) == 1

    in_world(database, body)


def test_an_adjustment_that_is_not_invoiced_keeps_its_month(
    database: Database, tmp_path: Path
) -> None:
    async def body() -> None:
        async with open_world(database) as world:  # whose balances know nothing of these postings
            await keeps_its_month(world)

    async def keeps_its_month(world: World) -> None:
        house, archive = House.of(world), archive_in(world, tmp_path)
        await with_partitions(world, LAST)
        connection = await asyncpg.connect(world.database.dsn("superuser"))
        at = months_ago(1)
        first = a_posting(Random(1), world.anna.tenant_id, at, posted_at=at, call=0)
        await post(connection, [first])
        await house.contract(world.anna)
        await house.since(world.anna, months_ago(1, day=1))
        await rolled_up(world)
        await house.finalise(world.anna, period_of(world.anna, at))
        late = replace(first, kind="adjustment", posted_at=datetime.now(UTC))
        await post(connection, [late])
        await connection.close()
        await rolled_up(world)
        with pytest.raises(Conflict, match="adjustments of the month that are not invoiced"):
            await archive_month(archive, LAST)

    asyncio.run(body())


def test_invoices_of_archived_months_are_made_again_after_corrections(
    database: Database, tmp_path: Path
) -> None:
    """Corrected after its invoice and billed by the next; one was void and made again before."""
    oldest = month_ago(2)

    async def body(world: World) -> None:
        house, archive = House.of(world), archive_in(world, tmp_path)
        await with_partitions(world, oldest)
        for who in (world.anna, world.bert):
            await house.contract(who)
            await house.since(who, months_ago(2, day=1))
            for months in (2, 1):
                await house.used(who, USED, months_ago(months))
        await rolled_up(world)
        book, made = house.billing.book, []
        before, after = (period_of(world.anna, months_ago(months)) for months in (2, 1))
        for who in (world.anna, world.bert):
            made.append((who, await house.finalise(who, before)))
        await book.void(world.bert.tenant_id, str(made[-1][1].number), "wrong address")
        made.append((world.bert, await house.finalise(world.bert, before)))
        right = await world.control.import_prices(synthetic_prices(Decimal(2)))
        fixes = PostgresCorrections(world.databases.control)
        for who in (world.anna, world.bert):
            await correct_prices(
                fixes, who.tenant_id, before.start, before.end, wrong=1, right=right
            )
        await rolled_up(world)
        for who in (world.anna, world.bert):
            made.append((who, await house.finalise(who, after)))
        adjusted = made[-1][1].document
        assert [line["kind"] for line in adjusted["lines"]].count("adjustment") == 4
        for month in (oldest, LAST):
            await archive_month(archive, month)
        assert await world.fetch("SELECT FROM charge_entry") == []
        for who, done in made:
            for invoices in (book, house.billing.invoices):
                stored = await invoices.document(who.tenant_id, str(done.number))
                again = await regenerate(invoices, who.tenant_id, stored)
                assert again.same, again.document
        assert await world.violations() == []

    in_world(database, body)


def test_what_lies_in_the_archive_is_not_corrected_by_half(
    database: Database, tmp_path: Path
) -> None:
    """Of a span that begins in an archived month and ends in a live one, nothing is."""
    oldest = month_ago(2)

    async def body(world: World) -> None:
        house, archive = House.of(world), archive_in(world, tmp_path)
        await with_partitions(world, oldest)
        for who in (world.anna, world.bert):
            await house.contract(who)
            await house.since(who, months_ago(2, day=1))
            for months in (2, 1):
                await house.used(who, USED, months_ago(months))
        await rolled_up(world)
        for who in (world.anna, world.bert):
            await house.finalise(who, period_of(who, months_ago(2)))
        await archive_month(archive, oldest)
        right = await world.control.import_prices(synthetic_prices(Decimal(2)))
        fixes, live = PostgresCorrections(world.databases.control), instant_of(LAST, 0)

        async def corrected(start: datetime, end: datetime) -> int:
            return (await correct_prices(
                fixes, world.anna.tenant_id, start, end, wrong=1, right=right
            )).attempts  # fmt: skip

        for end in (live, datetime.now(UTC)):
            for start in (instant_of(oldest, 0), live - timedelta(microseconds=1)):
                told = rf"^{oldest:%Y-%m} and .* archived .* credit note .* from {LAST} on\.$"
                with pytest.raises(Conflict, match=told):
                    await corrected(start, end)
        assert await world.fetch("SELECT FROM cost_entry WHERE kind <> 'usage'") == []
        assert await corrected(live, datetime.now(UTC)) == 1
        rows = await world.fetch(
            "SELECT DISTINCT tenant_id, day FROM cost_entry WHERE kind <> 'usage'"
        )
        assert [tuple(row) for row in rows] == [(world.anna.tenant_id, months_ago(1).date())]

    in_world(database, body)


def test_a_bill_is_not_held_against_an_archived_month(database: Database, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        house, archive = House.of(world), archive_in(world, tmp_path)
        await with_partitions(world, LAST)
        for who in (world.anna, world.bert):
            await house.contract(who)
            await house.since(who, months_ago(1, day=1))
            await house.used(who, USED, months_ago(1))
        await rolled_up(world)
        for who in (world.anna, world.bert):
            await house.finalise(who, period_of(who, months_ago(1)))

        async def held(start: date) -> BillReport:
            book = PostgresCostBook(world.databases.operator)
            with DiskSorter() as sorter:
                names = BillingNames({}, Catalogue([]))
                sides = BillSides(book, [], names, sorter)
                return await reconcile_bill(sides, start, month_ago(0))

        await held(LAST)
        await archive_month(archive, LAST)
        for start in (LAST, month_ago(0) - timedelta(days=1)):
            with pytest.raises(Conflict, match=f"^{LAST:%Y-%m} and what came before .*archived"):
                await held(start)

    in_world(database, body)
