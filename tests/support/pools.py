"""A small pool as units of work take it, without the checks of `Databases`."""

from typing import Any

import asyncpg

from tenantry.adapters.postgres.unit_connection import UnitConnection


def app_pool(dsn: str, *, max_size: int = 4) -> Any:
    """An asyncpg pool, to be entered or awaited."""
    return asyncpg.create_pool(dsn, min_size=1, max_size=max_size, connection_class=UnitConnection)
