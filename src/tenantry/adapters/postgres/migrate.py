"""The schema's history: numbered SQL files, each applied once, in order, and never edited.

Each file runs in a transaction of its own as `tenantry_owner`, with time-outs, so that a
migration that waits for a busy table gives up instead of stopping everyone behind it. One
advisory lock lets several starts on one server race: one applies, the others find the work done.
"""

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from tenantry.adapters.postgres.dial import connect, prove
from tenantry.adapters.postgres.errors import (
    MigrationBroken,
    MigrationEdited,
    MigrationFailed,
    MigrationsMissing,
    SchemaNewer,
)
from tenantry.adapters.postgres.partitions import ensure_partitions

MIGRATIONS_DIR = Path(__file__).parent / "migrations"
LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 120_000
RACE_TIMEOUT_MS = 300_000  # how long a start waits for another one that migrates
_ADVISORY_LOCK = 0x74656E616E747279  # "tenantry" in ASCII
_HAS_OWNER = "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'tenantry_owner')"
_HAS_SCHEMA = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'tenantry')
   AND 2 = (SELECT count(*) FROM pg_catalog.pg_roles
            WHERE rolname IN ('tenantry_owner', 'tenantry_control'))"""
_HAS_LEDGER = "SELECT to_regclass('tenantry.charge_entry') IS NOT NULL"
_HELD = (
    ". A transaction of another session, as of pg_dump or psql, holds what it changes: end that one"
    " and migrate again"
)
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclasses.dataclass(frozen=True, slots=True)
class Migration:
    """One file; `sha256` is of its bytes."""

    number: int
    name: str
    sql: str
    sha256: str


def load_migrations(folder: Path = MIGRATIONS_DIR) -> list[Migration]:
    """Return the migrations in order.

    Raises MigrationBroken where a name is malformed or the numbers have a gap or a double.
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        name = _FILE_NAME.fullmatch(path.name)
        if name is None:
            raise MigrationBroken(f"{path.name} is not named NNNN_name.sql.")
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        found.append(Migration(int(name[1]), name[2], content.decode("utf-8"), digest))
    if [each.number for each in found] != list(range(1, len(found) + 1)):
        raise MigrationBroken()
    return found


async def migrate(dsn: str, *, folder: Path = MIGRATIONS_DIR) -> list[int]:
    """Apply what is missing and return its numbers; `dsn` logs in as `tenantry_migrator`.

    The ledger's next months get their partitions with it.

    Raises MigrationEdited or SchemaNewer before anything is applied; MigrationFailed where a
    migration fails: those before it stay applied and it leaves nothing behind.
    """
    migrations = load_migrations(folder)
    connection = await connect(
        dsn,
        server_settings={
            "application_name": "tenantry migrate",
            "search_path": "pg_catalog, pg_temp",
            "statement_timeout": str(RACE_TIMEOUT_MS),
        },
    )
    try:
        await prove(connection)
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        await connection.execute("SET ROLE tenantry_owner")
        applied = await check_schema(connection, migrations)
        missing = migrations[applied:]
        for migration in missing:
            await _applied_whole(connection, migration)
        if await connection.fetchval(_HAS_LEDGER):
            await ensure_partitions(connection)
        return [migration.number for migration in missing]
    finally:
        await connection.close()  # which also gives the advisory lock back


async def check_record(dsn: str, *, folder: Path = MIGRATIONS_DIR) -> None:
    """Raises MigrationEdited or SchemaNewer as `migrate` does, and writes nothing.

    `dsn` logs in as `tenantry_migrator` or as a superuser. Where there are no roles yet, or the
    migrator may not log in yet, nothing was applied that could be read.
    """
    await _applied(dsn, load_migrations(folder))


async def check_whole(dsn: str) -> None:
    """As `check_record`, and raises MigrationsMissing where an older version has made the schema.
    An empty database is no older one's."""
    migrations = load_migrations()
    if 0 < await _applied(dsn, migrations) < len(migrations):
        raise MigrationsMissing()


async def _applied(dsn: str, migrations: Sequence[Migration]) -> int:
    try:
        connection = await connect(dsn)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError):
        return 0
    try:
        if not await connection.fetchval(_HAS_OWNER):
            return 0
        await connection.execute("SET ROLE tenantry_owner")
        return await check_schema(connection, migrations)
    finally:
        await connection.close()


async def has_schema(connection: Any) -> bool:
    """Whether there is one, of whatever version, and roles to read it as; for any login."""
    found: bool = await connection.fetchval(_HAS_SCHEMA)
    return found


async def check_schema(connection: Any, migrations: Sequence[Migration]) -> int:
    """Compare the database's record with our files; return how many of them are applied.

    Raises SchemaNewer where the record holds migrations that we do not know, MigrationEdited
    where a file differs from what was applied.
    """
    if await connection.fetchval("SELECT to_regclass('tenantry.schema_migrations')") is None:
        return 0
    rows = await connection.fetch(
        "SELECT number, name, sha256 FROM tenantry.schema_migrations ORDER BY number"
    )
    if len(rows) > len(migrations):
        unknown = rows[len(migrations)]
        raise SchemaNewer(
            f"The schema has migration {unknown['number']:04d}_{unknown['name']}, which this "
            "Tenantry does not know: a newer one wrote it. Install that one, or a newer."
        )
    for row, migration in zip(rows, migrations, strict=False):
        if (row["number"], row["sha256"]) != (migration.number, migration.sha256):
            raise MigrationEdited(
                "This database was made by an earlier checkout whose migrations were rewritten "
                f"(of {row['number']:04d}_{row['name']}): it cannot be upgraded. Use the checkout "
                "that made it, or start over (docs/how-to/run-in-production.md)."
            )
    return len(rows)


async def _applied_whole(connection: Any, migration: Migration) -> None:
    """A connection that is lost is an outage as anywhere; any other refusal names the file."""
    try:
        await _apply(connection, migration)
    except asyncpg.PostgresError as refused:
        if connection.is_closed():
            raise
        why = str(refused).partition("\n")[0]
        if isinstance(refused, asyncpg.LockNotAvailableError):
            why += _HELD
        raise MigrationFailed(
            f"Migration {migration.number:04d}_{migration.name} was refused and has left nothing;"
            f" those before it are applied: {why}"
        ) from refused


async def _apply(connection: Any, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(
            f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS};"
            f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"
        )
        await connection.execute(migration.sql)
        await connection.execute("SET LOCAL ROLE tenantry_owner")  # the file may have changed it
        await connection.execute(
            "INSERT INTO tenantry.schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.sha256,
        )
