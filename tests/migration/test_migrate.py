"""The schema's history: applied once, raced safely, never edited, never newer than we know."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import Database

from tenantry.adapters.postgres import migrate as migrate_module
from tenantry.adapters.postgres.errors import (
    MigrationBroken,
    MigrationEdited,
    MigrationFailed,
    SchemaNewer,
)
from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, load_migrations, migrate


def _copy_of_migrations(folder: Path) -> Path:
    copy = folder / "migrations"
    shutil.copytree(MIGRATIONS_DIR, copy)
    return copy


def _add(folder: Path, name: str, sql: str) -> int:
    number = len(load_migrations(folder)) + 1
    (folder / f"{number:04d}_{name}.sql").write_text(sql)
    return number


async def _value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def test_a_fresh_database_has_every_migration_and_wants_no_more(database: Database) -> None:
    count = asyncio.run(
        _value(database.dsn("superuser"), "SELECT count(*) FROM tenantry.schema_migrations")
    )
    assert count == len(load_migrations())
    assert asyncio.run(migrate(database.dsn("migrator"))) == []


def test_several_starts_race_and_one_applies(database: Database, tmp_path: Path) -> None:
    folder = _copy_of_migrations(tmp_path)
    number = _add(folder, "raced", "CREATE TABLE tenantry.raced (x integer)")

    async def race() -> list[list[int]]:
        dsn = database.dsn("migrator")
        return await asyncio.gather(*(migrate(dsn, folder=folder) for _ in range(4)))

    assert sorted(asyncio.run(race())) == [[], [], [], [number]]


def test_a_failing_migration_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    folder = _copy_of_migrations(tmp_path)
    _add(folder, "half", "CREATE TABLE tenantry.half (x integer); SELECT 1 / 0")
    with pytest.raises(MigrationFailed, match=r"\d{4}_half was refused .*: division by zero$"):
        asyncio.run(migrate(database.dsn("migrator"), folder=folder))
    dsn = database.dsn("superuser")
    assert asyncio.run(_value(dsn, "SELECT to_regclass('tenantry.half')")) is None
    assert asyncio.run(migrate(database.dsn("migrator"))) == []


def test_a_migration_that_waits_for_a_table_in_vain_says_so(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "LOCK_TIMEOUT_MS", 1)
    folder = _copy_of_migrations(tmp_path)
    _add(folder, "held", "ALTER TABLE tenantry.plan ADD COLUMN held integer")

    async def under_a_reader() -> None:
        reader = await asyncpg.connect(database.dsn("superuser"))
        try:
            async with reader.transaction():
                await reader.fetch("SELECT FROM tenantry.plan")
                await migrate(database.dsn("migrator"), folder=folder)
        finally:
            await reader.close()

    with pytest.raises(MigrationFailed, match=r"\d{4}_held .* another session"):
        asyncio.run(under_a_reader())
    assert asyncio.run(migrate(database.dsn("migrator"))) == []


def test_an_edited_migration_is_refused(database: Database, tmp_path: Path) -> None:
    folder = _copy_of_migrations(tmp_path)
    first = sorted(folder.glob("*.sql"))[0]
    first.write_text(first.read_text() + "\n-- a later thought\n")
    with pytest.raises(MigrationEdited, match="0001_house"):
        asyncio.run(migrate(database.dsn("migrator"), folder=folder))


def test_a_newer_schema_is_refused(database: Database, tmp_path: Path) -> None:
    folder = _copy_of_migrations(tmp_path)
    _add(folder, "of_tomorrow", "CREATE TABLE tenantry.of_tomorrow (x integer)")
    asyncio.run(migrate(database.dsn("migrator"), folder=folder))
    with pytest.raises(SchemaNewer, match="of_tomorrow"):
        asyncio.run(migrate(database.dsn("migrator")))


def test_every_migration_runs_as_the_owner_under_time_outs(
    database: Database, tmp_path: Path
) -> None:
    folder = _copy_of_migrations(tmp_path)
    settings = "('lock_timeout', 'statement_timeout')"
    query = f"SELECT count(*) FROM pg_settings WHERE name IN {settings} AND setting::int > 0"
    _add(
        folder,
        "witness",
        f"CREATE TABLE tenantry.witness AS SELECT current_user::text AS who, ({query}) AS bound",
    )
    asyncio.run(migrate(database.dsn("migrator"), folder=folder))
    dsn = database.dsn("superuser")
    said = asyncio.run(_value(dsn, "SELECT who || ' ' || bound FROM tenantry.witness"))
    assert said == "tenantry_owner 2"


@pytest.mark.parametrize("names", [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["1_a.sql"]])
def test_misnumbered_files_are_refused(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationBroken):
        load_migrations(tmp_path)
