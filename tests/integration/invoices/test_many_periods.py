"""Invoices and runs of years: found by number, and listed by what is asked for alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.support.billing import House
from tests.support.ledger import World, in_world
from tests.support.postgres import Database
from tests.support.read_rows import indexes_read, rows_read

from tenantry.adapters.postgres.statements import statements
from tenantry.entrypoints.cli.invoice_runs import listed

SQL = statements("sql/billing.sql")
PERIODS = 1_000
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
_RUNS = """
INSERT INTO tenantry.invoice_run (tenant_id, period_start, period_end, outcome, detail)
SELECT $1, $2::timestamptz + n * interval '1 day', $2 + (n + 1) * interval '1 day',
       CASE WHEN n = $3::integer THEN 'trouble' ELSE 'final' END, ''
FROM generate_series(0, $4::integer - 1) n"""
_INVOICES = """
INSERT INTO tenantry.invoice (tenant_id, invoice_id, kind, status, number, series, series_number,
  period_start, period_end, watermark, issued_at, due_at, currency, total, credit, due,
  contract_version, posting_id, document, sha256)
SELECT $1, 'inv_' || lpad($2::text || n, 26, '0'), 'invoice', 'final', $3::text || n, $3, n,
       $4::timestamptz + n * interval '1 day', $4 + (n + 1) * interval '1 day', now(), now(), now(),
       'USD', 0, 0, 0, 1, gen_random_uuid(), '{}', sha256('{}')
FROM generate_series(1, $5::integer) n"""


async def ran(world: World) -> None:
    """Both tenants have the same periods; Anna's 41st is in trouble."""
    for who, wrong in ((world.anna, 40), (world.bert, -1)):
        await world.as_superuser(_RUNS, who.tenant_id, FIRST, wrong, PERIODS)
    await world.as_superuser("ANALYZE tenantry.invoice_run")


def test_runs_are_read_as_far_as_they_are_shown(database: Database) -> None:
    async def body(world: World) -> None:
        await ran(world)
        bert = world.bert.tenant_id

        async def of(*values: Any) -> int:
            async with world.databases.control.acquire() as connection, connection.transaction():
                await connection.execute(SQL["plan_by_values"])
                return (await rows_read(connection, SQL["runs"], *values)).get("invoice_run", 0)

        middle = FIRST + timedelta(days=PERIODS // 2)
        assert await of(None, None, 10, None, None, None) == 10
        assert await of(None, None, 10, middle, bert, None) <= 12  # Bert is its period's last
        assert await of(None, "trouble", 10, None, None, None) == 1
        assert await of(bert, None, 10, None, None, None) <= 20
        last = (FIRST + timedelta(days=PERIODS - 3)).date()
        assert await of(None, None, 100, None, None, last) <= 8

    in_world(database, body)


def test_the_latest_runs_are_shown_and_that_there_are_more(database: Database) -> None:
    async def body(world: World) -> None:
        await ran(world)
        book = House.of(world).billing.book
        anna = world.anna.tenant_id
        rows, more = await listed(book, None, None, None, 5, page=2)
        assert more
        ends = [FIRST + timedelta(days=PERIODS - n) for n in (1, 1, 2, 2, 3)]
        assert [row["period_start"] for row in rows] == ends
        assert {row["tenant_id"] for row in rows} == {anna, world.bert.tenant_id}
        assert rows == await book.runs(None, None, 5)
        since = (FIRST + timedelta(days=PERIODS - 2)).date()
        rows, more = await listed(book, anna, None, since, 2, page=1)
        assert ([row["tenant_id"] for row in rows], more) == ([anna, anna], False)
        rows, more = await listed(book, None, "trouble", None, 100)
        assert [(row["tenant_id"], row["period_start"]) for row in rows] == [
            (anna, FIRST + timedelta(days=40))
        ]
        assert await listed(book, world.bert.tenant_id, "trouble", None, 1) == ([], False)

    in_world(database, body)


def test_a_period_begins_on_a_day_of_its_tenants_zone(database: Database) -> None:
    async def body(world: World) -> None:
        book = House.of(world).billing.book
        start = datetime(2026, 10, 31, 11, tzinfo=UTC)  # midnight of 1 November, 13 h ahead
        await world.as_superuser("UPDATE tenantry.tenant SET zone = 'Pacific/Auckland'")
        await world.as_superuser(_RUNS, world.anna.tenant_id, start, -1, 1)
        assert len(await book.runs(None, None, 10, since=date(2026, 11, 1))) == 1
        assert await book.runs(None, None, 10, since=date(2026, 11, 2)) == []

    in_world(database, body)


def test_a_document_is_found_by_its_number_alone(database: Database) -> None:
    async def body(world: World) -> None:
        for who, name in ((world.anna, "a"), (world.bert, "b")):
            values = (who.tenant_id, name, f"OLD-{name}-", FIRST, PERIODS)
            await world.as_superuser(_INVOICES, *values)
        await world.as_superuser("ANALYZE tenantry.invoice")
        assert await House.of(world).billing.book.owner("OLD-b-700") == world.bert.tenant_id
        digests = statements("sql/invoice_numbers.sql")["digests"]
        async with world.databases.control.acquire() as connection:
            for statement, asked in (
                (SQL["tenant_of"], "OLD-b-700"),
                (digests, ["OLD-a-1", "OLD-b-2", "NEW-1"]),
            ):
                assert await indexes_read(connection, statement, asked) == {"invoice_number"}
        await world.as_superuser("DROP TRIGGER append_only ON tenantry.invoice")
        await world.as_superuser("DELETE FROM tenantry.invoice")  # of which nothing was posted

    in_world(database, body)
