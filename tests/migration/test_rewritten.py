"""A home of a checkout whose migrations were rewritten since: refused before anything is changed,
and told of in words that say what can be done."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import Database, scratch_folder
from tests.support.stack_command import tenantry

from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.adapters.postgres.errors import MigrationEdited, SchemaNewer
from tenantry.adapters.postgres.migrate import MIGRATIONS_DIR, check_record, load_migrations

MENDED = "UPDATE tenantry.schema_migrations SET sha256 ="
EDITED = "UPDATE tenantry.schema_migrations SET sha256 = repeat(md5(sha256), 2) WHERE number = 4"
TOUCHED = "ALTER ROLE tenantry_app RESET search_path"
IS_TOUCHED = """
SELECT rolconfig IS NULL FROM pg_catalog.pg_roles WHERE rolname = 'tenantry_app'
"""
TOLD = (
    "This database was made by an earlier checkout whose migrations were rewritten (of"
    " 0004_admission): it cannot be upgraded. Use the checkout that made it, or start over"
    " (docs/how-to/run-in-production.md)."
)


@pytest.fixture
def home() -> Iterator[Path]:
    """A deployment that `tenantry migrate` has made."""
    with scratch_folder() as folder:
        home = folder / "home"
        try:
            assert tenantry(home, "migrate").returncode == 0
            yield home
        finally:
            where = known_place(home)
            if where is not None:
                shutil.rmtree(where.folder, ignore_errors=True)


def in_database(home: Path, *statements: str) -> object:
    """The value of the last one."""

    async def run() -> object:
        connection = await asyncpg.connect(cluster.dsn("superuser"))
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    cluster = EmbeddedCluster(home)
    cluster.start()
    try:
        return asyncio.run(run())
    finally:
        cluster.stop()


def test_a_home_of_another_history_is_refused_as_it_is(home: Path) -> None:
    kept = home / "kept"
    shutil.copy(home / "postgres.bootstrapped", kept)
    in_database(home, EDITED, TOUCHED)
    (home / "postgres.bootstrapped").write_text("of other roles")
    for _ in range(2):
        refused = tenantry(home, "migrate")
        assert (refused.returncode, refused.stderr) == (1, f"tenantry: {TOLD}\n")
    assert (home / "postgres.bootstrapped").read_text() == "of other roles"
    shutil.copy(kept, home / "postgres.bootstrapped")  # so that this start changes no role either
    assert in_database(home, IS_TOUCHED) is True


def test_doctor_says_why_the_last_start_failed_until_one_succeeds(home: Path) -> None:
    in_database(home, EDITED)
    assert tenantry(home, "migrate").returncode == 1
    told = tenantry(home, "doctor", "--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["problems"] == [f"the last start of the database failed: {TOLD}"]
    in_database(home, f"{MENDED} '{load_migrations()[3].sha256}' WHERE number = 4")
    assert tenantry(home, "migrate").returncode == 0
    mended = tenantry(home, "doctor", "--json")
    assert (mended.returncode, json.loads(mended.stdout)["problems"]) == (0, [])


def test_a_record_is_looked_at_by_the_migrator_and_by_a_superuser(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS_DIR, folder)
    last = sorted(folder.glob("*.sql"))[-1]

    def checked(error: type[Exception] | None) -> None:
        for role in ("migrator", "superuser"):
            dsn = database.dsn(role)  # type: ignore[arg-type]
            with contextlib.nullcontext() if error is None else pytest.raises(error):
                asyncio.run(check_record(dsn, folder=folder))

    checked(None)
    last.write_text(last.read_text() + "\n-- a later thought\n")
    checked(MigrationEdited)
    last.unlink()
    checked(SchemaNewer)
    wrong = database.dsn("migrator").replace("tenantry_migrator:", "tenantry_migrator:x")
    asyncio.run(check_record(wrong, folder=folder))  # who may not log in has read nothing
