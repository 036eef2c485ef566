"""A stack's databases as a test reaches them: connections that stay, made anew where they died.

Most tests ask dozens of times, and a new connection costs more than nearly all that is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import asyncpg

from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.domain.errors import Unavailable

_GONE = (OSError, Unavailable, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)
T = TypeVar("T")


class StackDatabases:
    """One thread at a time has the connections that stay; another one meanwhile has its own."""

    def __init__(self, cluster: Callable[[], EmbeddedCluster]) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._kept: _Connections | None = None

    def run(self, work: Callable[[Databases], Awaitable[T]]) -> T:
        with self._connections() as connections:
            return connections.run(work)

    def rows(self, query: str, *values: object) -> list[Any]:
        """Read as the superuser."""
        with self._connections() as connections:
            return connections.rows(query, *values)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @contextlib.contextmanager
    def _connections(self) -> Iterator[_Connections]:
        if not self._lock.acquire(blocking=False):
            with contextlib.closing(_Connections(self._cluster)) as own:
                yield own
            return
        try:
            if self._kept is None:
                self._kept = _Connections(self._cluster)
            yield self._kept
        finally:
            self._lock.release()


class _Connections:
    def __init__(self, cluster: Callable[[], EmbeddedCluster]) -> None:
        self._cluster = cluster
        self._runner = asyncio.Runner()
        self._databases: Databases | None = None
        self._superuser: Any = None

    def run(self, work: Callable[[Databases], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work(await self._open_databases())

        return self._runner.run(run())

    def rows(self, query: str, *values: object) -> list[Any]:
        async def read() -> list[Any]:
            connection = await self._open_superuser()
            found: list[Any] = await connection.fetch(query, *values)
            return found

        return self._runner.run(read())

    def close(self) -> None:
        async def end() -> None:
            self._forget_databases()
            self._forget_superuser()
            await asyncio.sleep(0)  # in which the transports close

        self._runner.run(end())
        self._runner.close()

    async def _open_databases(self) -> Databases:
        if self._databases is not None:
            try:
                for pool in (self._databases.control, self._databases.operator):
                    await pool.fetchval("SELECT 1")
            except _GONE:
                self._forget_databases()
        if self._databases is None:
            dsn_for = self._cluster().dsn
            self._databases = await Databases.open(dsn_for, application="tenantry tests")
        return self._databases

    async def _open_superuser(self) -> Any:
        if self._superuser is not None:
            try:
                await self._superuser.fetchval("SELECT 1")
            except _GONE:
                self._forget_superuser()
        if self._superuser is None:
            self._superuser = await asyncpg.connect(self._cluster().dsn("superuser"))
        return self._superuser

    def _forget_databases(self) -> None:
        if self._databases is not None:
            self._databases.terminate()
            self._databases = None

    def _forget_superuser(self) -> None:
        if self._superuser is not None:
            self._superuser.terminate()
            self._superuser = None
