"""Whether the embedded server has a connection for everything that `serve` starts."""

from __future__ import annotations

from typing import Final

from tenantry.adapters.postgres import pgvector
from tenantry.adapters.postgres.connections import PINNED_MAX, POOL_SIZE_MAX
from tenantry.adapters.postgres.embedded.settings import SERVER_SETTINGS
from tenantry.config import Settings, variable_of

_KEPT_BY_SERVER: Final = 3  # PostgreSQL's superuser_reserved_connections
_SUPERVISOR: Final = 1


def workers_problems(config: Settings) -> list[str]:
    """One line where there are more workers than the embedded server has connections for."""
    fit = _workers_max(config)
    if config.database_url is not None or config.workers <= fit:
        return []
    return [
        f"{variable_of('workers')}: the embedded PostgreSQL has connections for {fit} workers, not"
        f" {config.workers}; {variable_of('database_url')} names a server of your own"
    ]


def _workers_max(config: Settings) -> int:
    """Beside the background worker, one command, and one more worker while one is replaced."""
    process = sum(POOL_SIZE_MAX.values())
    if config.vectors == "pgvector" and config.pgvector_url is None:
        process += pgvector.POOL_SIZE_MAX
    others = 2 * process + _SUPERVISOR + _KEPT_BY_SERVER
    left = int(SERVER_SETTINGS["max_connections"]) - others
    return left // (process + PINNED_MAX) - 1
