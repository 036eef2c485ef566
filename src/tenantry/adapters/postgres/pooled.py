"""What asks PostgreSQL outside a tenant's unit of work: statements of its files, over one pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any

from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.statements import rows_of, statements

NOW = "SELECT pg_catalog.clock_timestamp()"


class Pooled:
    """The base of adapters. Each method raises `Unavailable` where the database is out of reach."""

    def __init__(
        self,
        pool: Any,
        *sql_files: str,
        told: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`told`: tells what the database refuses in other words, before it is taken for an
        outage, as a lock is that somebody holds."""
        self._pool = pool
        self._told = told
        self._sql = {name: sql for file in sql_files for name, sql in statements(file).items()}

    async def now(self) -> datetime:
        """By the database's clock."""
        async with self._connection() as connection:
            at: datetime = await connection.fetchval(NOW)
        return at

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        with outages_are_unavailable(), self._told():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                yield connection

    @asynccontextmanager
    async def _transaction(self, **options: Any) -> AsyncIterator[Any]:
        """`options`: isolation, readonly; as asyncpg has them."""
        async with self._connection() as connection, connection.transaction(**options):
            yield connection

    async def _fetch(self, name: str, *values: object) -> list[Any]:
        async with self._connection() as connection:
            rows: list[Any] = await connection.fetch(self._sql[name], *values)
        return rows

    async def _fetchrow(self, name: str, *values: object) -> Any:
        """The first row, or None."""
        async with self._connection() as connection:
            return await connection.fetchrow(self._sql[name], *values)

    async def _execute(self, name: str, *values: object) -> int:
        """How many rows it touched."""
        async with self._connection() as connection:
            tag: str = await connection.execute(self._sql[name], *values)
        return rows_of(tag)
