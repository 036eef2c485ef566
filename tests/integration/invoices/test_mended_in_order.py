"""Which invoice has looked at what a roll-up was mended by is told by the order of commits: no
clock, however it goes, loses usage, changes a document, or keeps a month from its archive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.archiving import archive_in, month_ago, with_partitions
from tests.support.invoiced_past import (
    LATE,
    Past,
    adjusted,
    blocked,
    in_past,
    now,
    while_one_is_made,
)
from tests.support.postgres import Database

from tenantry.application.invoicing import void_invoice


async def all_is_invoiced(past: Past) -> None:
    assert await past.mended() == []
    assert await past.world.violations() == []


def test_what_the_next_invoice_takes_by_its_mark_changes_no_invoice(database: Database) -> None:
    async def body(past: Past) -> None:
        anna, bert = past.world.anna, past.world.bert
        first = [await past.finalise(who, past.before) for who in (anna, bert)]
        await past.late(anna)
        second = [await past.finalise(who, past.after) for who in (anna, bert)]
        assert [adjusted(made) for made in second] == [LATE, 0]
        for _ in range(2):
            assert await past.same(anna, first[0], second[0])
            assert await past.same(bert, first[1], second[1])
            assert [await past.late_in_draft(who) for who in (anna, bert)] == [0, 0]
            await past.rollups.renew(10)
        assert [who for who, _ in await past.mended()] == [anna.tenant_id]

    in_past(database, body)


def test_what_a_replacement_takes_by_its_mark_changes_neither(database: Database) -> None:
    async def body(past: Past) -> None:
        anna, book = past.world.anna, past.house.billing.book
        first = await past.finalise(anna, past.before)
        await past.late(anna)
        await void_invoice(book, anna.tenant_id, str(first.number), "wrong")
        again = await past.finalise(anna, past.before)
        assert [made.document["total"] for made in (first, again)] == ["31.50", "33.30"]
        await past.rollups.renew(10)
        assert await past.same(anna, first, again)
        second = await past.finalise(anna, past.after)
        assert adjusted(second) == 0
        assert await past.same(anna, first, again, second)
        await all_is_invoiced(past)

    in_past(database, body)


def test_what_an_invoice_has_looked_at_and_is_mended_again_is_on_the_next_one(
    database: Database,
) -> None:
    async def body(past: Past) -> None:
        anna = past.world.anna
        first = await past.finalise(anna, past.before)
        await past.missed(anna)
        await past.looked_through()
        second = await past.finalise(anna, past.after)
        await all_is_invoiced(past)
        await past.late(anna)
        await past.rollups.renew(10)
        assert await past.late_in_draft(anna) == LATE
        assert await past.same(anna, first, second)
        assert await past.world.violations() == []

    in_past(database, body)


@pytest.mark.parametrize("marked", [True, False])
def test_what_is_mended_while_its_invoice_is_made_is_on_the_next_one(
    database: Database, marked: bool
) -> None:
    """Posted before the invoice's watermark, by a clock that was set back, and seen too late."""

    async def body(past: Past) -> None:
        anna, bert = past.world.anna, past.world.bert

        async def meanwhile() -> None:
            if marked:
                await past.late(anna)
                assert await past.rollups.renew(10) == 1
            else:
                await past.missed(anna)
                await past.looked_through()

        while_one_is_made(past, meanwhile)
        first = [await past.finalise(who, past.before) for who in (anna, bert)]
        assert [made.document["total"] for made in first] == ["31.50", "31.50"]
        await past.looked_through()
        assert await past.same(anna, first[0])
        second = [await past.finalise(who, past.after) for who in (anna, bert)]
        assert [adjusted(made) for made in second] == [LATE, 0]
        await all_is_invoiced(past)
        assert await past.same(anna, first[0], second[0])
        assert await past.same(bert, first[1], second[1])

    in_past(database, body)


def test_an_hour_that_an_invoice_looks_at_is_mended_again_after_it(database: Database) -> None:
    async def body(past: Past) -> None:
        anna = past.world.anna
        first = await past.finalise(anna, past.before)
        await past.missed(anna)
        await past.looked_through()
        await past.missed(anna)
        steps: list[asyncio.Task[None]] = []

        async def meanwhile() -> None:
            steps.append(asyncio.create_task(past.looked_through()))
            connection = await asyncpg.connect(past.world.database.dsn("superuser"))
            try:
                await blocked(connection)
            finally:
                await connection.close()

        # The second of the hour is in the ledger and in no roll-up when the invoice reads it.
        while_one_is_made(past, meanwhile)
        second = await past.finalise(anna, past.after)
        assert adjusted(second) == LATE
        await steps[0]
        await past.looked_through()
        assert await past.late_in_draft(anna) == LATE
        assert await past.same(anna, first, second)
        assert await past.world.violations() == []

    in_past(database, body)


def test_after_a_clock_that_was_ahead_a_mended_month_is_archived_with_its_next_invoice(
    database: Database, tmp_path: Path
) -> None:
    async def body(past: Past) -> None:
        world, anna, month = past.world, past.world.anna, month_ago(2)
        archive = archive_in(world, tmp_path)
        through = await world.fetch("SELECT through FROM rollup")
        await with_partitions(world, month)
        await world.as_superuser("UPDATE tenantry.rollup SET through = $1", through[0]["through"])
        first = [await past.finalise(who, past.before) for who in (anna, world.bert)]
        await past.house.as_the_past(
            "UPDATE tenantry.invoice SET watermark = watermark + interval '400 days',"
            " issued_at = issued_at + interval '400 days';"
            "UPDATE tenantry.invoice_run SET watermark = watermark + interval '400 days'"
        )
        await past.missed(anna, posted_at=now() - timedelta(minutes=1))
        await past.looked_through()
        assert await not_invoiced(archive.months.obstacles(month)) == [anna.tenant_id]
        second = await past.finalise(anna, past.after)
        assert adjusted(second) == LATE
        assert await past.read_again(anna, first[0]) == Decimal("31.5")
        assert await not_invoiced(archive.months.obstacles(month)) == []
        assert await past.late_in_draft(anna) == 0
        await all_is_invoiced(past)

    in_past(database, body)


async def not_invoiced(asked: Awaitable[Any]) -> list[str]:
    found = await asked
    told = [] if found is None else found.named
    return [each.split(":")[0] for each in told if "not invoiced" in each]
