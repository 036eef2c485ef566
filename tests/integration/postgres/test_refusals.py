"""A server that refuses a login, or must not be used, is an outage until somebody mends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tests.support.postgres import Database

from tenantry.adapters.postgres.connections import Databases, LoginRole
from tenantry.adapters.postgres.errors import LoginRefused, NotDurable
from tenantry.bootstrap.failures import told
from tenantry.domain.errors import Unavailable

Harm = Callable[[Database], tuple[str, str]]  # what does it, and what mends it


def _no_connect(database: Database) -> tuple[str, str]:
    of = f"CONNECT ON DATABASE {database.name}"
    return f"REVOKE {of} FROM tenantry_app", f"GRANT {of} TO tenantry_app"


def _not_durable(database: Database) -> tuple[str, str]:
    of = f"ALTER DATABASE {database.name}"
    return f"{of} SET synchronous_commit = off", f"{of} RESET synchronous_commit"


def _no_login(_database: Database) -> tuple[str, str]:
    return "ALTER ROLE tenantry_app NOLOGIN", "ALTER ROLE tenantry_app LOGIN"


@asynccontextmanager
async def harmed(database: Database, harm: Harm) -> AsyncIterator[None]:
    """For whoever connects meanwhile."""
    breaks, mends = harm(database)
    admin = await asyncpg.connect(database.dsn("superuser"))
    try:
        await admin.execute(breaks)
        try:
            yield
        finally:
            await admin.execute(mends)
    finally:
        await admin.close()


@pytest.mark.parametrize(
    ("harm", "cause", "words"),
    [
        (_no_connect, LoginRefused, 'permission denied for database "{name}"'),
        (_no_login, LoginRefused, 'role "tenantry_app" is not permitted to log in'),
        (_not_durable, NotDurable, "synchronous_commit"),
    ],
)
def test_a_pool_waits_until_it_may_be_used_again(
    database: Database, harm: Harm, cause: type[Exception], words: str
) -> None:
    async def run() -> None:
        databases = await Databases.open(database.dsn)
        try:
            async with harmed(database, harm):
                await databases.app.expire_connections()
                with pytest.raises(Unavailable) as refused:
                    await databases.app.acquire()
                with pytest.raises(Unavailable) as pinned:
                    await databases.open_pinned("app")
                for each in (refused.value, pinned.value):
                    assert isinstance(each.__cause__, cause)
                    assert words.format(name=database.name) in (told(each) or "")
            async with databases.app.acquire() as connection:
                assert await connection.fetchval("SELECT 1") == 1
        finally:
            databases.terminate()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("part", "words"), [("password", "password authentication failed"), ("path", "does not exist")]
)
def test_a_wrong_password_or_database_is_told_in_the_servers_words(
    database: Database, part: str, words: str
) -> None:
    def dsn_for(role: LoginRole) -> str:
        url = urlsplit(database.dsn(role, over="tcp"))
        if part == "path":
            return urlunsplit(url._replace(path="/elsewhere"))
        address = url.netloc.rpartition("@")[2]
        return urlunsplit(url._replace(netloc=f"tenantry_{role}:wrong@{address}"))

    async def run() -> None:
        with pytest.raises(Unavailable) as refused:
            await Databases.open(dsn_for)
        assert words in (told(refused.value) or "")
        assert "wrong" not in (told(refused.value) or "")
        if part == "password":  # which says what can be done
            assert "tenantry migrate" in (told(refused.value) or "")

    asyncio.run(run())


def test_a_right_that_a_statement_lacks_stays_a_fault(database: Database) -> None:
    async def run() -> None:
        databases = await Databases.open(database.dsn)
        try:
            async with databases.app.acquire() as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute("CREATE TABLE tenantry.mine ()")
        finally:
            databases.terminate()

    asyncio.run(run())
