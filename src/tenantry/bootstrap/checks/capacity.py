"""Whether the server has a connection for everything that `serve` starts."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from tenantry.adapters.postgres import pgvector
from tenantry.adapters.postgres.connection_room import PostgresRoom
from tenantry.adapters.postgres.connections import PINNED_MAX, POOL_SIZE_MAX
from tenantry.adapters.postgres.embedded.settings import SERVER_SETTINGS
from tenantry.config import Settings, variable_of

_KEPT_BY_SERVER: Final = 3  # PostgreSQL's superuser_reserved_connections
_SUPERVISOR: Final = 1


def workers_problems(config: Settings) -> list[str]:
    """One line where there are more workers than the embedded server has connections for."""
    if config.database_url is not None:
        return []
    room = int(SERVER_SETTINGS["max_connections"]) - _KEPT_BY_SERVER
    fit = _workers_in(room, config)
    if config.workers <= fit:
        return []
    return [
        f"{variable_of('workers')}: the embedded PostgreSQL has connections for {fit} workers, not"
        f" {config.workers}; {variable_of('database_url')} names a server of your own"
    ]


async def room_problems(config: Settings, control: Any) -> list[str]:
    """A line for each limit of an operator's own server that `serve` on this machine can meet.

    `control`: a pool. Raises `Unavailable`.
    """
    if config.database_url is None:
        return []
    by_role = _needed(config, config.workers)
    room = await PostgresRoom(control).read(sorted(by_role))
    raised = "raise its CONNECTION LIMIT"
    limits = [
        (
            "the server of the database",
            room.server,
            by_role.total(),
            "raise max_connections, of which it keeps some for others",
        ),
        ("the database", room.database, by_role.total(), raised),
        *((f"the role {role}", room.roles.get(role), by_role[role], raised) for role in by_role),
    ]
    workers = f"{variable_of('workers')}={config.workers}"
    return [
        f"{whose} has {limit} connections for us, and `serve` with {workers} may need {needed}, or"
        f" refuses calls with 503: {raised}, or serve with fewer workers"
        for whose, limit, needed, raised in limits
        if limit is not None and limit < needed
    ]


def _needed(config: Settings, workers: int) -> Counter[str]:
    """Connections of each role at once, beside the background worker with one command, and with one
    more worker while one is replaced."""
    pools = Counter({f"tenantry_{role}": size for role, size in POOL_SIZE_MAX.items()})
    if config.vectors == "pgvector" and config.pgvector_url is None:
        pools["tenantry_vectors"] = pgvector.POOL_SIZE_MAX
    processes = workers + 1 + 2
    needed = Counter({role: size * processes for role, size in pools.items()})
    needed["tenantry_app"] += PINNED_MAX * (workers + 1)
    needed["tenantry_control"] += _SUPERVISOR
    return needed


def _workers_in(connections: int, config: Settings) -> int:
    """How many workers so many connections are enough for."""
    none = _needed(config, 0).total()
    return (connections - none) // (_needed(config, 1).total() - none)
