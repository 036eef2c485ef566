"""The only door to tenants' rows: a transaction as `tenantry_app`, made for one tenant.

Repositories take a `TenantReader` or a `TenantWriter`, and both exist only inside `TenantWork`:
without a tenant there is no repository. Row-level security under it stops a forgotten filter;
it does not stop hostile SQL run as `tenantry_app`, which could name another tenant.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.unit_connection import begin_unit, check_tenant, end_unit
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId

_SET_TIMEOUT = "SELECT pg_catalog.set_config('statement_timeout', $1, true)"


class TenantReader:
    """Reads one tenant's rows, in a READ ONLY transaction. Valid until its unit of work ends."""

    def __init__(self, connection: Any, tenant_id: TenantId) -> None:
        self._given: Any = connection
        self.tenant_id = tenant_id

    @property
    def _connection(self) -> Any:
        assert self._given is not None, "a unit of work was used after its end"
        return self._given

    def end(self) -> None:
        """Take the connection away, which another tenant may have next."""
        self._given = None

    async def fetch(self, query: str, *values: object, timeout_s: float | None = None) -> list[Any]:
        """Return all rows; the query bounds their number. `timeout_s`: of this one statement."""
        with outages_are_unavailable():
            if timeout_s is not None:
                limit = f"{timeout_s:.0f}s"
                await self._connection.execute(_SET_TIMEOUT, limit)
            rows: list[Any] = await self._connection.fetch(query, *values, timeout=timeout_s)
        return rows

    async def fetchrow(self, query: str, *values: object) -> Any:
        """Return the first row, or None."""
        with outages_are_unavailable():
            return await self._connection.fetchrow(query, *values)

    async def fetchval(self, query: str, *values: object) -> Any:
        """Return the first column of the first row, or None."""
        with outages_are_unavailable():
            return await self._connection.fetchval(query, *values)


class TenantWriter(TenantReader):
    """Reads and writes one tenant's rows; all of it is committed at the end, or none."""

    async def execute(self, query: str, *values: object) -> str:
        """Run a statement; return its command tag, such as `UPDATE 1`."""
        with outages_are_unavailable():
            tag: str = await self._connection.execute(query, *values)
        return tag

    async def execute_within(self, timeout_s: int, query: str, *values: object) -> str:
        """As `execute`, for a statement that may take so long, as no other of the role's may."""
        with outages_are_unavailable():
            await self._connection.execute(f"SET LOCAL statement_timeout = '{timeout_s:d}s'")
            tag: str = await self._connection.execute(query, *values, timeout=timeout_s)
        return tag

    async def executemany(self, query: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each row of values."""
        with outages_are_unavailable():
            await self._connection.executemany(query, rows)


class TenantWork:
    """Makes units of work, each for one tenant, over the `app` pool."""

    def __init__(self, app_pool: Any) -> None:
        """`app_pool` gives `UnitConnection`s."""
        self._pool = app_pool

    @contextlib.asynccontextmanager
    async def reading(self, tenant_id: TenantId) -> AsyncIterator[TenantReader]:
        """Open a unit that can only read. Raises TenantMissing, Unavailable."""
        async with self._transaction(tenant_id, readonly=True) as connection:
            reader = TenantReader(connection, tenant_id)
            try:
                yield reader
            finally:
                reader.end()

    @contextlib.asynccontextmanager
    async def writing(self, tenant_id: TenantId) -> AsyncIterator[TenantWriter]:
        """Open a unit that commits when its block ends without an exception.

        Raises TenantMissing, Unavailable; after Unavailable it is unknown whether it committed.
        """
        async with self._transaction(tenant_id, readonly=False) as connection:
            writer = TenantWriter(connection, tenant_id)
            try:
                yield writer
            finally:
                writer.end()

    async def fetchrow_of(self, tenant_id: TenantId, call: str, *values: object) -> Any:
        """The first row of a function's call, or None: a whole unit of work in one round trip.

        `call` gives the tenant ($1) to the function, or to `set_config` before it, which names it
        for the statement's own transaction, so that row policies hold within as in every unit;
        `values` are $2 and on. Raises TenantMissing, Unavailable.
        """
        check_tenant(tenant_id)
        with outages_are_unavailable():
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        try:
            with outages_are_unavailable():
                row = await connection.fetchrow(call, tenant_id, *values)
            connection.left_clean()
            return row
        finally:
            with contextlib.suppress(Unavailable), outages_are_unavailable():
                await self._pool.release(connection)

    @contextlib.asynccontextmanager
    async def _transaction(self, tenant_id: TenantId, *, readonly: bool) -> AsyncIterator[Any]:
        check_tenant(tenant_id)
        # Only our own steps are named an outage: the block may fail for reasons of its own.
        with outages_are_unavailable():
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        try:
            with outages_are_unavailable():
                await begin_unit(connection, tenant_id, readonly=readonly)
            try:
                yield connection
            except BaseException:
                with contextlib.suppress(Unavailable), outages_are_unavailable():
                    await end_unit(connection, "ROLLBACK")
                raise
            with outages_are_unavailable():
                await end_unit(connection, "COMMIT")
        finally:
            with contextlib.suppress(Unavailable), outages_are_unavailable():
                await self._pool.release(connection)
