"""Processes that may hold tenant keys: their registration, and the watch of a host over its own.

Owns: who registers and who looks. Does not own: what is written (`adapters/postgres/key_holders`)
nor how a process makes place for another (`entrypoints/`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from typing import Final, Self

from tenantry.adapters.postgres.connections import Databases, LoginDsnFor, open_control_pool
from tenantry.adapters.postgres.errors import DatabaseError
from tenantry.adapters.postgres.key_holders import Kind, PostgresKeyHolders, this_host
from tenantry.application.round import Round
from tenantry.bootstrap.failures import told
from tenantry.domain.errors import Unavailable

LOOK_EVERY_S: Final = 1.0
STOP_S: Final = 10.0
_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def registered(
    databases: Databases, kind: Kind, *, watched: bool = False
) -> AsyncIterator[PostgresKeyHolders]:
    """This process is noted for as long as the block runs. `watched`: another process sees it end
    and notes that, which is better than its own word."""
    holders = PostgresKeyHolders(databases.control, this_host())
    holder_id = await holders.register(kind)
    try:
        yield holders
    finally:
        if not watched:
            # Where the database is away, the next process of this host finds it gone.
            with contextlib.suppress(Unavailable):
                await holders.leave(holder_id)


def holders_round(holders: PostgresKeyHolders, on_roll: Callable[[], None]) -> Round:
    """The background worker's look after its host's processes, of which it is one."""

    async def look() -> object:
        if os.getpid() in await holders.look():
            on_roll()
        return None

    return Round("key-holders", LOOK_EVERY_S, look)


class HostWatch:
    """A thread that looks after this host's processes, over a connection of its own."""

    def __init__(self, dsn_for: LoginDsnFor) -> None:
        self._dsn_for = dsn_for
        self._stop = threading.Event()
        self._rolls: frozenset[int] = frozenset()
        self._thread = threading.Thread(target=self._run, name="host-watch", daemon=True)

    def rolls(self) -> frozenset[int]:
        """Pids that must make place for a successor, by the last look."""
        return self._rolls

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Looks once more, so that processes which have just ended are noted."""
        self._stop.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        is_told = False
        while True:
            try:
                await self._looks()
                return
            except (Unavailable, DatabaseError, OSError) as outage:
                if not is_told:
                    _log.warning("this host's processes cannot be noted: %s", told(outage))
                is_told = True
            except Exception:
                # A fault of ours must not end the watch: no worker would roll any more.
                _log.exception("this host's processes could not be looked after")
            if self._stop.is_set():
                return
            await asyncio.to_thread(self._stop.wait, LOOK_EVERY_S)

    async def _looks(self) -> None:
        """Looks until asked to stop, and once after."""
        pool = await open_control_pool(self._dsn_for, "tenantry serve")
        try:
            holders = PostgresKeyHolders(pool, this_host())
            while True:
                last = self._stop.is_set()
                self._rolls = await holders.look()
                if last:
                    return
                await asyncio.to_thread(self._stop.wait, LOOK_EVERY_S)
        finally:
            pool.terminate()
