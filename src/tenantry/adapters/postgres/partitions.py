"""The ledger's monthly partitions, made before their month begins.

Only the owner may make them, and the migrator alone acts as the owner: so this has a connection of
its own, for as long as it takes. Nothing depends on it in time: a row without a partition goes to
the default one.
"""

from __future__ import annotations

import logging
from typing import Any

import asyncpg

from tenantry.adapters.postgres.dial import reach
from tenantry.adapters.postgres.outages import outages_are_unavailable

MONTHS = 4  # this one and three ahead: as long may this go wrong unnoticed
# Attaching waits for readers of the default partition, and admission then waits behind us.
LOCK_TIMEOUT_MS = 250
CONNECT_TIMEOUT_S = 5.0
_TODAY = "(clock_timestamp() AT TIME ZONE 'UTC')::date"
_log = logging.getLogger(__name__)


async def ensure_partitions(connection: Any) -> int:
    """Makes what is missing, as the owner whom `connection` acts as; returns how many.

    Where somebody reads for too long it leaves it for the next time, and says so.
    """
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            made: int = await connection.fetchval(
                f"SELECT tenantry.ensure_partitions({_TODAY}, $1)", MONTHS
            )
    except asyncpg.LockNotAvailableError:
        _log.warning("the ledger is busy: its next partitions are made later")
        return 0
    return made


async def extend(dsn: str) -> int:
    """The same over a connection of its own; `dsn` logs in as `tenantry_migrator`."""
    with outages_are_unavailable():
        connection = await reach(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={
                "application_name": "tenantry partitions",
                "search_path": "pg_catalog, pg_temp",
            },
        )
        try:
            await connection.execute("SET ROLE tenantry_owner")
            return await ensure_partitions(connection)
        finally:
            await connection.close()
