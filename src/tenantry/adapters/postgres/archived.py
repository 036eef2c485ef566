"""Until when the ledger lies in the archive, for what needs its rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tenantry.adapters.postgres.connections import ACQUIRE_TIMEOUT_S
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.statements import statements


async def archived_through(pool: Any) -> datetime | None:
    """The instant before which all is archived; None: nothing is."""
    with outages_are_unavailable():
        async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            at: datetime | None = await connection.fetchval(
                statements("sql/archive.sql")["archived_through"]
            )
    return at
