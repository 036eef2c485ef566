"""The ledger's months: made ahead, walled like their books, never in the way of a posting."""

import asyncio
import logging
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest
from tests.support.ledger import World, in_world, open_world
from tests.support.postgres import Database

from tenantry.adapters.postgres import partitions
from tenantry.adapters.postgres.migrate import migrate
from tenantry.domain.usage import Usage

BOOKS = ("charge_entry", "cost_entry")
USED = Usage(uncached_in=1_000, out=500)
_PARTITIONS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::regclass ORDER BY 1
"""


def _months(first: date, count: int) -> list[str]:
    numbers = [first.year * 12 + first.month - 1 + ahead for ahead in range(count)]
    return [f"{number // 12}_{number % 12 + 1:02d}" for number in numbers]


async def _of(connection: Any, book: str) -> list[str]:
    rows = await connection.fetch(_PARTITIONS, f"tenantry.{book}")
    return [row[0].removeprefix(f"{book}_") for row in rows]


def test_the_months_ahead_have_partitions(database: Database) -> None:
    async def check() -> None:
        connection = await asyncpg.connect(database.dsn("superuser"))
        now = datetime.now(UTC).date()
        for book in BOOKS:
            assert await _of(connection, book) == [*_months(now, partitions.MONTHS), "default"]
        assert await partitions.extend(database.dsn("migrator")) == 0
        later = date(now.year + 1, 12, 15)
        ensure = "SELECT tenantry.ensure_partitions($1, 2)"
        assert [await connection.fetchval(ensure, later) for _ in range(2)] == [4, 0]
        assert set(_months(later, 2)) < set(await _of(connection, "cost_entry"))
        await connection.close()

    asyncio.run(check())


def test_entries_lie_in_their_month_and_cannot_be_changed_there(database: Database) -> None:
    async def body(world: World) -> None:
        for who in (world.anna, world.bert):
            await world.settle(await world.admitted(who), world.outcome(USED))
        [month] = _months(datetime.now(UTC).date(), 1)
        connection = await asyncpg.connect(database.dsn("superuser"))
        for book in BOOKS:
            partition = f"tenantry.{book}_{month}"
            assert await connection.fetchval(f"SELECT count(*) FROM {partition}") == 2
            for statement in (f"DELETE FROM {partition}", f"TRUNCATE {partition}"):
                with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                    await connection.execute(statement)
            for pool in (world.databases.app, world.databases.control, world.databases.operator):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await pool.fetch(f"SELECT 1 FROM {partition}")
        await connection.close()

    in_world(database, body)


def test_no_posting_is_refused_for_want_of_a_partition(database: Database) -> None:
    async def check() -> None:
        connection = await asyncpg.connect(database.dsn("superuser"))
        [month] = _months(datetime.now(UTC).date(), 1)
        async with open_world(database) as world:
            await world.settle(await world.admitted(), world.outcome(USED))
            for book in BOOKS:  # as archiving does it
                await connection.execute(
                    f"ALTER TABLE tenantry.{book} DETACH PARTITION tenantry.{book}_{month};"
                    f"ALTER TABLE tenantry.{book}_{month} RENAME TO archived_{book}"
                )
            assert await world.sums() == (0, 0)
            assert await connection.fetchval("SELECT count(*) FROM tenantry.archived_cost_entry")
            await world.settle(await world.admitted(), world.outcome(USED))
            assert [float(amount) for amount in await world.sums()] == [0.0105, 0.0315]
        assert await migrate(database.dsn("migrator")) == []
        assert month not in await _of(connection, "cost_entry"), "the default one holds its rows"
        await connection.close()

    asyncio.run(check())


def test_a_ledger_that_is_being_read_is_left_for_later(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        reader = await asyncpg.connect(database.dsn("superuser"))
        [*_, last] = _months(datetime.now(UTC).date(), partitions.MONTHS)
        await reader.execute(f"DROP TABLE tenantry.cost_entry_{last}")
        async with reader.transaction():
            await reader.fetch("SELECT 1 FROM tenantry.cost_entry_default")
            with caplog.at_level(logging.WARNING):
                assert await partitions.extend(database.dsn("migrator")) == 0
        assert [record for record in caplog.records if "busy" in record.getMessage()]
        assert await partitions.extend(database.dsn("migrator")) == 1
        await reader.close()

    asyncio.run(check())
