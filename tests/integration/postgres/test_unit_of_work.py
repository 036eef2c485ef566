"""Two tenants behind one pool: each unit of work sees its own tenant, and only while it lasts."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from tests.support.postgres import Database

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.errors import TenantMissing
from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId

ANNA = TenantId("tnt_anna")
BERT = TenantId("tnt_bert")

_TABLE = """
SET ROLE tenantry_owner;
CREATE TABLE tenantry.note (tenant_id text NOT NULL, body text NOT NULL);
ALTER TABLE tenantry.note ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenantry.note FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON tenantry.note TO tenantry_app
  USING (tenant_id = current_setting('tenantry.tenant', true))
  WITH CHECK (tenant_id = current_setting('tenantry.tenant', true));
GRANT SELECT, INSERT ON tenantry.note TO tenantry_app;
CREATE FUNCTION tenantry.last_note(asked text) RETURNS TABLE (body text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('tenantry.tenant', asked, true);
  RETURN QUERY SELECT n.body FROM tenantry.note n ORDER BY 1 DESC;  -- the filter is forgotten
END $$;
GRANT EXECUTE ON FUNCTION tenantry.last_note TO tenantry_app;
"""
_INSERT = "INSERT INTO note VALUES ($1, $2)"
_LAST = "SELECT * FROM last_note($1)"
_ALL = "SELECT body FROM note ORDER BY body"


def _run(database: Database, body: Callable[[Databases, TenantWork], Awaitable[None]]) -> None:
    async def run() -> None:
        owner = await asyncpg.connect(database.dsn("migrator"))
        await owner.execute(_TABLE)
        await owner.close()
        databases = await Databases.open(database.dsn)
        try:
            await body(databases, TenantWork(databases.app))
        finally:
            databases.terminate()

    asyncio.run(run())


def test_each_tenant_sees_its_own_rows(database: Database) -> None:
    async def body(_: Databases, work: TenantWork) -> None:
        for tenant in (ANNA, BERT):
            async with work.writing(tenant) as tx:
                await tx.execute(_INSERT, tenant, f"of {tenant}")
        for tenant in (ANNA, BERT):
            async with work.reading(tenant) as tx:
                assert [row["body"] for row in await tx.fetch(_ALL)] == [f"of {tenant}"]

    _run(database, body)


def test_a_row_of_another_tenant_cannot_be_written(database: Database) -> None:
    async def body(_: Databases, work: TenantWork) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with work.writing(ANNA) as tx:
                await tx.execute(_INSERT, BERT, "a forgery")
        async with work.reading(BERT) as tx:
            assert await tx.fetch(_ALL) == []

    _run(database, body)


def test_a_reading_unit_cannot_write(database: Database) -> None:
    async def body(_: Databases, work: TenantWork) -> None:
        async with work.reading(ANNA) as tx:
            assert not hasattr(tx, "execute")
            with pytest.raises(Unavailable):  # READ ONLY, as a demoted server would say
                await tx.fetch("INSERT INTO note VALUES ($1, 'x') RETURNING body", ANNA)

    _run(database, body)


def test_nothing_of_a_tenant_stays_on_the_connection(database: Database) -> None:
    async def body(databases: Databases, work: TenantWork) -> None:
        async with work.writing(ANNA) as tx:
            await tx.execute(_INSERT, ANNA, "mine")
            await tx.execute("SET SESSION tenantry.tenant = 'tnt_anna'")  # a careless query
        connections = [await databases.app.acquire() for _ in range(databases.app.get_size())]
        for connection in connections:
            assert await connection.fetch(_ALL) == []
            await databases.app.release(connection)

    _run(database, body)


def test_a_unit_that_fails_leaves_nothing(database: Database) -> None:
    async def body(_: Databases, work: TenantWork) -> None:
        with pytest.raises(TimeoutError):  # the block's own failure is not named an outage
            async with work.writing(ANNA) as tx:
                await tx.execute(_INSERT, ANNA, "half")
                raise TimeoutError
        async with work.reading(ANNA) as tx:
            assert await tx.fetch(_ALL) == []

    _run(database, body)


@pytest.mark.parametrize(
    "name", ["", " ", "tnt_anna'", "tnt_anna' OR 'a", "tnt_anna\\", "tnt_änna", "tnt_anna\n"]
)
def test_no_tenant_no_unit(database: Database, name: str) -> None:
    async def body(_: Databases, work: TenantWork) -> None:
        for unit in (work.reading, work.writing):
            with pytest.raises(TenantMissing):
                async with unit(TenantId(name)):
                    pytest.fail("a unit of work without a tenant")
        with pytest.raises(TenantMissing):
            await work.fetchrow_of(TenantId(name), _LAST)
        async with work.reading(ANNA) as tx:
            assert await tx.fetch(_ALL) == []

    _run(database, body)


def test_a_unit_of_one_statement_is_three_round_trips(database: Database) -> None:
    async def body(databases: Databases, work: TenantWork) -> None:
        sent: list[str] = []
        connection = await databases.app.acquire()
        connection.add_query_logger(lambda record: sent.append(record.query))
        await databases.app.release(connection)  # which cleans it, as always
        sent.clear()
        async with work.reading(ANNA) as tx:
            assert await tx.fetch(_ALL) == []
        assert len(sent) == 3, sent

    _run(database, body)


def test_a_function_is_a_unit_in_one_round_trip(database: Database) -> None:
    async def body(databases: Databases, work: TenantWork) -> None:
        async with work.writing(ANNA) as tx:
            await tx.execute(_INSERT, ANNA, "mine")
        sent: list[str] = []
        connection = await databases.app.acquire()
        connection.add_query_logger(lambda record: sent.append(record.query))
        await databases.app.release(connection)  # which cleans it, as always
        sent.clear()
        assert (await work.fetchrow_of(ANNA, _LAST))["body"] == "mine"
        assert await work.fetchrow_of(BERT, _LAST) is None
        assert len(sent) == 2, sent
        assert await databases.app.fetch(_ALL) == []  # no tenant is left on the connection

    _run(database, body)


def test_a_function_takes_no_unit_to_another_tenant(database: Database) -> None:
    spaces = "SELECT * FROM knowledge_spaces($1)"

    async def body(_: Databases, work: TenantWork) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with work.reading(ANNA) as tx:
                await tx.fetch(spaces, BERT)
        async with work.reading(ANNA) as tx:
            assert await tx.fetch(spaces, ANNA) == []
        for tenant in (ANNA, BERT):  # one after the other on the same connection
            assert await work.fetchrow_of(tenant, spaces) is None

    _run(database, body)


def test_a_unit_is_of_no_use_after_its_end(database: Database) -> None:
    async def body(_: Databases, work: TenantWork) -> None:
        async with work.reading(ANNA) as tx:
            kept = tx
        with pytest.raises(AssertionError):
            await kept.fetch(_ALL)

    _run(database, body)


def test_a_lost_connection_is_unavailable_and_the_next_unit_works(database: Database) -> None:
    async def body(_: Databases, work: TenantWork) -> None:
        admin = await asyncpg.connect(database.dsn("superuser"))
        with pytest.raises(Unavailable):
            async with work.writing(ANNA) as tx:
                pid = await tx.fetchval("SELECT pg_backend_pid()")
                await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
                await tx.execute(_INSERT, ANNA, "lost")
        await admin.close()
        async with work.reading(ANNA) as tx:
            assert await tx.fetch(_ALL) == []

    _run(database, body)
