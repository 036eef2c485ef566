"""Archived months: nothing is lost, nothing is answered otherwise, whatever dies in between."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.archiving import (
    STEPS,
    archive_in,
    instant_of,
    month_ago,
    rolled_up,
    total,
    with_partitions,
)
from tests.support.ledger import World, open_world
from tests.support.postgres import Database
from tests.support.postings import Posting, a_posting, audited, post

from tenantry.application.archiving import (
    Archive,
    Closed,
    archive_closed,
    archive_month,
    verify_archives,
)
from tenantry.domain.archive import BOOKS, COLUMNS, ArchiveBroken, manifest_from
from tenantry.domain.errors import BadRequest, Conflict, NotFound
from tenantry.ports.control import Budget

OLD, OLDER = month_ago(2), month_ago(3)
LONG_DIGITS = Decimal("123456789.00000000000000000000000000000000000000012345678901234567890100")


def in_old_months(
    database: Database,
    folder: Path,
    body: Callable[[World, Archive, list[Posting], Any], Awaitable[None]],
) -> None:
    """Two tenants with postings in two old months, and one with figures of many digits."""

    async def run() -> None:
        draw = random.Random(11)
        async with open_world(database) as world:
            connection = await asyncpg.connect(world.database.dsn("superuser"))
            await with_partitions(world, OLDER)
            tenants = [world.anna.tenant_id, world.bert.tenant_id]
            postings = [
                a_posting(draw, draw.choice(tenants), instant_of(month, draw.uniform(0, 600)))
                for month in (OLDER, OLD)
                for _ in range(25)
            ]
            postings.append(replace(postings[0], call=7, price=LONG_DIGITS))
            await post(connection, postings)
            await rolled_up(world)
            try:
                await body(world, archive_in(world, folder), postings, connection)
                found = await world.violations()
                assert [each for each in found if "roll" in each.invariant] == []
                assert [each for each in found if "archive" in each.invariant] == []
                assert [each for each in found if "carry" in each.invariant] == []
            finally:
                await connection.close()

    asyncio.run(run())


async def usage_holds(world: World, postings: list[Posting]) -> None:
    span = (instant_of(OLDER, 0), datetime.now(UTC))
    for who in (world.anna, world.bert):
        for by in ([], ["model", "day"], ["hour"], ["key", "tag"], ["user", "run"]):
            rows = await world.ledger.usage(who, *span, by)  # type: ignore[arg-type]
            found = {
                tuple(row.group.values()): (row.requests, dict(row.tokens), row.charge)
                for row in rows
            }
            assert found == audited(postings, who.tenant_id, *span, by)


async def rows_of(world: World) -> set[Any]:
    rows = await world.fetch("SELECT date_trunc('month', admitted_at)::date AS m FROM cost_entry")
    return {row["m"] for row in rows}


def test_a_month_is_archived_and_its_usage_is_still_told(
    database: Database, tmp_path: Path
) -> None:
    async def body(
        world: World, archive: Archive, postings: list[Posting], connection: Any
    ) -> None:
        done = await archive_month(archive, OLDER)
        assert done.rows == 2 * sum(each.at < instant_of(OLD, 0) for each in postings)
        assert await rows_of(world) == {OLD}
        await usage_holds(world, postings)
        [verified] = await verify_archives(archive)
        assert verified == done
        assert await archive_month(archive, OLDER) == done, "again: where it is"
        manifest = json.loads((tmp_path / done.place / "manifest.json").read_text())
        [charge, _] = json.loads(manifest["manifest"])["files"]
        assert charge["rows"] * 2 == done.rows
        await archive_month(archive, OLD)
        assert await rows_of(world) == set()
        await usage_holds(world, postings)
        assert len(await verify_archives(archive)) == 2
        balances = await world.fetch(
            "SELECT DISTINCT ON (tenant_id, book) tenant_id, book, balance FROM carry_forward"
            " ORDER BY tenant_id, book, month DESC"
        )
        for row in balances:
            assert row["balance"] == total(postings, row["tenant_id"]), row["book"]
        assert len(balances) == 4

    in_old_months(database, tmp_path, body)


def test_no_digit_is_lost(database: Database, tmp_path: Path) -> None:
    async def body(world: World, archive: Archive, _: list[Posting], connection: Any) -> None:
        columns = (
            ", ".join(
                f"{name}::text AS {name}" if kind in ("text", "decimal") else name
                for name, kind in COLUMNS["cost"].items()
            )
            .replace("unit_prices", "unit_prices::text[]")
            .replace(" amounts", " amounts::text[]")
        )
        rows = await connection.fetch(
            f"SELECT {columns} FROM tenantry.cost_entry WHERE admitted_at < $1"
            ' ORDER BY tenant_id COLLATE "C", cost_entry.admitted_at, cost_entry.request_id, call',
            instant_of(OLD, 0),
        )
        done = await archive_month(archive, OLDER)
        files = manifest_from(archive.files.manifest(done.place).content).files
        found = [dict(row) for row in archive.files.rows(done.place, files[1])]
        assert found == [dict(row) for row in rows]
        assert any("0000012345678901234567890100" in row["unit_prices"][0] for row in found)

    in_old_months(database, tmp_path, body)


def test_the_files_have_every_column_of_the_books(database: Database) -> None:
    async def body() -> None:
        async with open_world(database) as world:
            for book in BOOKS:
                rows = await world.fetch(
                    "SELECT attname::text AS name FROM pg_attribute WHERE attnum > 0"
                    " AND NOT attisdropped AND attrelid = $1::regclass",
                    f"tenantry.{book}_entry",
                )
                assert {row["name"] for row in rows} == set(COLUMNS[book])

    asyncio.run(body())


def test_what_stands_in_the_way_is_told(database: Database, tmp_path: Path) -> None:
    async def body(
        world: World, archive: Archive, postings: list[Posting], connection: Any
    ) -> None:
        with pytest.raises(Conflict, match="an older month comes first"):
            await archive_month(archive, OLD)
        with pytest.raises(Conflict, match="not over"):
            await archive_month(archive, month_ago(0))
        with pytest.raises(Conflict, match="no partition of its own"):
            await archive_month(archive, month_ago(4))
        reservation = await world.admitted()
        moved = "UPDATE tenantry.open_request SET admitted_at = $1"
        await world.as_superuser(moved, instant_of(OLDER, 5))
        with pytest.raises(
            Conflict, match=f"1 requests of the month are open.*{reservation.request_id}"
        ):
            await archive_month(archive, OLDER)
        await world.as_superuser("DELETE FROM tenantry.open_request")
        late = replace(postings[0], call=9, posted_at=datetime.now(UTC))
        await post(connection, [late])
        with pytest.raises(Conflict, match="1 hours of the month are to be rolled up anew"):
            await archive_month(archive, OLDER)
        await rolled_up(world)
        await world.as_superuser("UPDATE tenantry.rollup SET through = $1", instant_of(OLDER, 9))
        with pytest.raises(Conflict, match="not rolled up yet"):
            await archive_month(archive, OLDER)
        assert archive.files.latest(OLDER) is None
        assert await rows_of(world) == {OLDER, OLD}
        await world.as_superuser("UPDATE tenantry.rollup SET through = $1", instant_of(OLD, 900))
        done = await archive_month(archive, OLDER)
        (tmp_path / done.place / "manifest.json").unlink()
        with pytest.raises((ArchiveBroken, NotFound)):
            await archive_month(archive, OLDER)
        # A span that cuts an hour of the archive cannot be answered, and says so.
        with pytest.raises(BadRequest, match="archived and told by whole hours"):
            await world.ledger.usage(
                world.anna, instant_of(OLDER, 1.5), instant_of(OLD, 0), ["model"]
            )

    in_old_months(database, tmp_path, body)


def test_it_may_be_killed_at_every_step(database: Database, tmp_path: Path) -> None:
    async def body(
        world: World, archive: Archive, postings: list[Posting], connection: Any
    ) -> None:
        for step in STEPS[:-1]:
            await asyncio.to_thread(_killed, world, tmp_path, step)
            assert await rows_of(world) == {OLDER, OLD}, step
            assert await verify_archives(archive) == []
            await usage_holds(world, postings)
        await asyncio.to_thread(_killed, world, tmp_path, "posted")
        assert await rows_of(world) == {OLD}
        [done] = await verify_archives(archive)
        assert done.place.endswith("/1")  # that of "read back" was complete and is used
        await usage_holds(world, postings)

    in_old_months(database, tmp_path, body)


def _killed(world: World, folder: Path, step: str) -> None:
    spec = {
        "control": world.database.dsn("control"),
        "migrator": world.database.dsn("migrator"),
        "folder": str(folder),
        "month": OLDER.isoformat(),
        "step": step,
    }
    program = [sys.executable, "-m", "tests.support.archiving", json.dumps(spec)]
    ended = subprocess.run(program, capture_output=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def test_what_is_posted_meanwhile_makes_another_archive(database: Database, tmp_path: Path) -> None:
    async def body(
        world: World, archive: Archive, postings: list[Posting], connection: Any
    ) -> None:
        class Late:
            """The books, in which something is posted while the month is written."""

            def __getattr__(self, name: str) -> Any:
                return getattr(archive.months, name)

            async def replace(self, *values: Any) -> None:
                new = replace(postings[0], call=9, posted_at=datetime.now(UTC))
                await post(connection, [new])
                await rolled_up(world)
                postings.append(new)
                await archive.months.replace(*values)

        with pytest.raises(Conflict, match="the archive is not the month"):
            await archive_month(Archive(Late(), archive.files, archive.signer), OLDER)  # type: ignore[arg-type]
        assert await rows_of(world) == {OLDER, OLD}
        done = await archive_month(archive, OLDER)
        assert done.place.endswith("/2")
        assert (tmp_path / f"{OLDER:%Y-%m}" / "1" / "charge.parquet").exists()
        await usage_holds(world, postings)

    in_old_months(database, tmp_path, body)


def test_a_long_reader_of_the_books_makes_it_wait(database: Database, tmp_path: Path) -> None:
    async def body(
        world: World, archive: Archive, postings: list[Posting], connection: Any
    ) -> None:
        async with connection.transaction():
            await connection.fetch("SELECT FROM tenantry.cost_entry LIMIT 1")
            with pytest.raises(Conflict, match="the ledger is busy"):
                await archive_month(archive, OLDER)
        assert await rows_of(world) == {OLDER, OLD}
        assert await world.fetch("SELECT FROM carry_forward") == []
        await archive_month(archive, OLDER)
        await usage_holds(world, postings)

    in_old_months(database, tmp_path, body)


def test_a_change_of_anything_that_was_signed_is_found(database: Database, tmp_path: Path) -> None:
    async def body(
        world: World, archive: Archive, postings: list[Posting], connection: Any
    ) -> None:
        done = await archive_month(archive, OLDER)
        folder = tmp_path / done.place
        for name in ("charge.parquet", "cost.parquet", "manifest.json"):
            whole = (folder / name).read_bytes()
            middle = len(whole) // 2
            for damaged in (
                whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
                whole[:-9],
            ):
                (folder / name).write_bytes(damaged)
                with pytest.raises(ArchiveBroken):
                    await verify_archives(archive)
            (folder / name).unlink()
            with pytest.raises((ArchiveBroken, NotFound), match=f"{done.place}/{name} is missing"):
                await verify_archives(archive)
            (folder / name).write_bytes(whole)
        assert len(await verify_archives(archive)) == 1
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute("UPDATE tenantry.carry_forward SET amount = amount + 1")
        await connection.execute("SET session_replication_role = replica")
        anna = world.anna.tenant_id
        for column, trouble in (
            ("amount = amount + 1", "entries and the manifest differ"),
            ("entries = entries + 1", "entries and the manifest differ"),
            ("content = content || ' '", "entry is not what was signed"),
            ("content = '[' || content", "entries and the manifest differ"),
            ("signature = decode(repeat('00', 64), 'hex')", "entry is not what was signed"),
            ("currency = 'EUR'", "entries are not in the manifest"),
        ):
            kept = await connection.fetch("SELECT * FROM tenantry.carry_forward")
            await connection.execute(
                f"UPDATE tenantry.carry_forward SET {column}"
                " WHERE tenant_id = $1 AND book = 'cost'",
                anna,
            )
            with pytest.raises(ArchiveBroken, match=trouble) as told:
                await verify_archives(archive)
            assert f"{OLDER:%Y-%m}" in str(told.value)
            assert f"{anna} cost" in str(told.value)
            for row in kept:
                await connection.execute(
                    "UPDATE tenantry.carry_forward SET amount = $3, entries = $4, content = $5,"
                    " signature = $6, currency = $7"
                    " WHERE tenant_id = $1 AND book = $2",
                    row["tenant_id"],
                    row["book"],
                    row["amount"],
                    row["entries"],
                    row["content"],
                    row["signature"],
                    row["currency"],
                )
        assert len(await verify_archives(archive)) == 1

    in_old_months(database, tmp_path, body)


def test_a_budget_of_all_time_counts_what_is_archived(database: Database, tmp_path: Path) -> None:
    async def body(
        world: World, archive: Archive, postings: list[Posting], connection: Any
    ) -> None:
        await archive_month(archive, OLDER)
        for subject, name in (("tenant", ""), ("user", "alice"), ("run", "run-1")):
            for basis in ("charge", "cost"):
                given: Any = (world.anna.tenant_id, subject, name, "total", basis)
                await world.control.set_budget(Budget(*given, Decimal(10**12)))
        rows = await world.fetch("SELECT subject, settled FROM budget_use WHERE period = 'total'")
        assert len(rows) == 6
        for row in rows:
            mine = [
                each
                for each in postings
                if row["subject"] in ("tenant", f"user:{each.user}", f"run:{each.run}")
            ]
            assert row["settled"] == total(mine, world.anna.tenant_id), row["subject"]

    in_old_months(database, tmp_path, body)


def test_months_go_by_age_and_nobody_else_drops_one(database: Database, tmp_path: Path) -> None:
    async def body(
        world: World, archive: Archive, postings: list[Posting], connection: Any
    ) -> None:
        assert await archive_closed(archive, 3) == Closed([], None)
        closed = await archive_closed(archive, 2)
        assert ([each.month for each in closed.done], closed.held) == ([OLDER], None)
        for role in ("app", "control", "operator"):
            other = await asyncpg.connect(world.database.dsn(role))  # type: ignore[arg-type]
            for statement in (
                "SELECT tenantry.drop_archived_month($1, '', '', '[]')",
                "SELECT tenantry.carry_forward($1, '', '', '[]')",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await other.execute(statement, OLD)
            await other.close()
        owner = await asyncpg.connect(world.database.dsn("migrator"))
        await owner.execute("SET ROLE tenantry_owner")
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="not the month"):
            await owner.execute(
                "SELECT tenantry.drop_archived_month($1, 'x', sha256('x'), '[]')", OLD
            )
        await owner.close()
        assert await rows_of(world) == {OLD}
        assert timedelta(0) < datetime.now(UTC) - (await archive.months.archived())[0].archived_at

    in_old_months(database, tmp_path, body)
