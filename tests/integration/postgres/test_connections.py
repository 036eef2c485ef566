"""What every connection proves before its first use, and what a pool gives back clean."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import Database, new_cluster, scratch_folder

from tenantry.adapters.postgres.connections import (
    DEAD_CLIENT_AFTER,
    KEEPALIVE_SETTINGS,
    PINNED_SETTINGS,
    Databases,
    derived_dsns,
)
from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.errors import MigrationsMissing, NotDurable, RoleTooStrong
from tenantry.adapters.postgres.roles import LOGIN_ROLES, bootstrap_roles, derive_password
from tenantry.domain.errors import Unavailable


async def _as_superuser(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ["app", "control", "operator"])
def test_a_role_whose_commits_may_be_lost_is_refused(database: Database, role: str) -> None:
    async def run() -> None:
        await _as_superuser(
            database,
            f"ALTER ROLE tenantry_{role} IN DATABASE {database.name} SET synchronous_commit = off",
        )
        with pytest.raises(Unavailable) as refused:
            await Databases.open(database.dsn)
        assert isinstance(refused.value.__cause__, NotDurable)
        assert "synchronous_commit" in str(refused.value.__cause__)

    asyncio.run(run())


def test_a_servers_default_isolation_is_not_ours(database: Database) -> None:
    """Admission waits for rows that another changes; under `serializable` it would fail instead."""

    async def run() -> None:
        default = f"ALTER DATABASE {database.name} SET default_transaction_isolation = serializable"
        await _as_superuser(database, default)
        databases = await Databases.open(database.dsn)
        try:
            pinned = await databases.open_pinned("app")
            for connection in (databases.app, databases.control, databases.operator, pinned):
                assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
            pinned.terminate()
        finally:
            databases.terminate()

    asyncio.run(run())


def test_a_superuser_is_refused(database: Database) -> None:
    async def run() -> None:
        with pytest.raises(Unavailable) as refused:
            await Databases.open(lambda _role: database.dsn("superuser"))
        assert isinstance(refused.value.__cause__, RoleTooStrong)

    asyncio.run(run())


@pytest.mark.parametrize("role", ["app", "control", "operator"])
def test_a_host_that_vanishes_is_noticed(database: Database, role: str) -> None:
    """Its sessions end with the keepalives: what they held, such as slots, falls free."""

    async def run() -> None:
        databases = await Databases.open(database.dsn)
        try:
            pool = getattr(databases, role)
            for connection in (pool, await databases.open_pinned("app")):
                over_tcp = await connection.fetchval("SELECT inet_client_addr() IS NOT NULL")
                for name, value in KEEPALIVE_SETTINGS.items():
                    # Over a local socket there is nothing to keep alive: the kernel tells at once.
                    assert await connection.fetchval(f"SHOW {name}") == (value if over_tcp else "0")
        finally:
            databases.terminate()

    asyncio.run(run())


@pytest.mark.parametrize("role", ["control", "operator"])
def test_a_report_ends_with_who_asked_for_it(database: Database, role: str) -> None:
    """By kill -9 too, while its statement runs, which may for ten minutes."""

    async def run() -> None:
        databases = await Databases.open(database.dsn)
        try:
            pool = getattr(databases, role)
            assert await pool.fetchval("SHOW client_connection_check_interval") == DEAD_CLIENT_AFTER
        finally:
            databases.terminate()

    asyncio.run(run())


def test_a_schema_without_its_migrations_is_refused(database: Database) -> None:
    async def run() -> None:
        statement = (
            "DELETE FROM tenantry.schema_migrations WHERE number ="
            " (SELECT max(number) FROM tenantry.schema_migrations)"
        )
        await _as_superuser(database, statement)
        with pytest.raises(MigrationsMissing):
            await Databases.open(database.dsn)

    asyncio.run(run())


def test_a_server_out_of_reach_is_unavailable(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(Unavailable):
            await Databases.open(lambda _role: f"postgresql://nobody:no@/x?host={tmp_path}")

    asyncio.run(run())


def test_sessions_come_back_clean(database: Database) -> None:
    async def run() -> None:
        databases = await Databases.open(database.dsn)
        async with databases.control.acquire() as connection:
            await connection.execute("SET search_path = public; SET statement_timeout = 1")
            await connection.execute("SELECT pg_advisory_lock(7)")
        async with databases.control.acquire() as connection:
            assert await connection.fetchval("SHOW search_path") == "tenantry, pg_temp"
            assert await connection.fetchval("SHOW statement_timeout") == "1min"
            query = (
                "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE locktype = 'advisory' AND datname = current_database()"
            )
            assert await connection.fetchval(query) == 0
        await databases.close()

    asyncio.run(run())


def test_the_operator_only_reads(database: Database) -> None:
    async def run() -> None:
        databases = await Databases.open(database.dsn)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await databases.operator.execute("CREATE TEMPORARY TABLE t (x integer)")
        await databases.close()

    asyncio.run(run())


def test_a_pinned_connection_has_its_plans_pinned(database: Database) -> None:
    async def run() -> None:
        databases = await Databases.open(database.dsn)
        pinned = await databases.open_pinned("app")
        for name, value in PINNED_SETTINGS.items():
            assert await pinned.fetchval("SELECT current_setting($1)", name) == value
        await pinned.close()
        await databases.close()

    asyncio.run(run())


def test_nobody_creates_things_but_the_owner(database: Database) -> None:
    async def run() -> None:
        for role in ("app", "control", "operator"):
            connection = await asyncpg.connect(database.dsn(role))
            for schema in ("tenantry", "public"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"CREATE TABLE {schema}.mine (x integer)")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE TEMPORARY TABLE mine (x integer)")
            for other in ("tenantry_owner", "tenantry_gate", "tenantry_superuser"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"SET ROLE {other}")
            await connection.close()

    asyncio.run(run())


def test_a_new_function_is_closed_to_everyone(database: Database) -> None:
    async def run() -> None:
        owner = await asyncpg.connect(database.dsn("migrator"))
        await owner.execute(
            "SET ROLE tenantry_owner;"
            "CREATE FUNCTION tenantry.one() RETURNS integer LANGUAGE sql AS 'SELECT 1'"
        )
        await owner.close()
        app = await asyncpg.connect(database.dsn("app"))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetchval("SELECT tenantry.one()")
        await app.close()

    asyncio.run(run())


def test_no_role_is_strong(database: Database) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(database.dsn("superuser"))
        rows = await connection.fetch(
            "SELECT rolname, rolcanlogin, rolsuper OR rolbypassrls OR rolcreaterole"
            " OR rolcreatedb OR rolreplication AS strong FROM pg_roles"
            " WHERE rolname LIKE 'tenantry_%' AND rolname <> 'tenantry_superuser'"
            # Those of pgvector are there where it is used, and have tests of their own.
            " AND rolname NOT LIKE 'tenantry_vectors%'"
        )
        await connection.close()
        assert not [row["rolname"] for row in rows if row["strong"]]
        assert {row["rolname"] for row in rows if row["rolcanlogin"]} == set(LOGIN_ROLES)
        assert {row["rolname"] for row in rows} - set(LOGIN_ROLES) == {
            "tenantry_owner",
            "tenantry_gate",
        }

    asyncio.run(run())


def test_roles_of_an_external_server_log_in_with_derived_passwords() -> None:
    """As `tenantry migrate` does with TENANTRY_DATABASE_URL: here a server of its own plays it."""
    secret = bytes(range(32))

    async def run(cluster: EmbeddedCluster) -> None:
        passwords = {role: derive_password(secret, role) for role in LOGIN_ROLES}
        await bootstrap_roles(cluster.dsn("superuser"), passwords)
        dsn_for = derived_dsns(cluster.dsn("superuser", over="tcp"), secret)
        for role in ("migrator", "app", "control", "operator"):
            connection = await asyncpg.connect(dsn_for(role))
            assert await connection.fetchval("SELECT current_user") == f"tenantry_{role}"
            await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(derived_dsns(cluster.dsn("superuser"), secret[::-1])("app"))

    with scratch_folder() as folder:
        cluster = new_cluster(folder)
        cluster.start()
        try:
            asyncio.run(run(cluster))
        finally:
            cluster.stop()
