"""Pools for each role, and pinned connections for the batchers.

Every new connection proves before its first use that the server keeps what it commits, that the
session is ours alone, and that its role cannot pass row-level security; otherwise it is closed.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from tenantry.adapters.postgres.dial import prove_reached, reach
from tenantry.adapters.postgres.errors import MigrationsMissing
from tenantry.adapters.postgres.migrate import check_schema, load_migrations
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.roles import derive_password
from tenantry.adapters.postgres.unit_connection import UnitConnection

PoolRole = Literal["app", "control", "operator"]
DsnFor = Callable[[PoolRole], str]
LoginRole = Literal["migrator", "app", "control", "operator"]
LoginDsnFor = Callable[[LoginRole], str]

CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_MS: dict[PoolRole, int] = {"app": 10_000, "control": 60_000, "operator": 60_000}
LOCK_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000
POOL_SIZE_MAX: dict[PoolRole, int] = {"app": 16, "control": 4, "operator": 2}
PINNED_MAX = 2  # of one batcher: its own, and the lost one for as long as the server keeps it
# With stale statistics the planner's own choice doubled the CPU of a batch (96 to 193 µs).
PINNED_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}
# How soon the server notices a client whose host has vanished without a word: after a minute. Until
# then its session keeps the lease of its slots.
KEEPALIVE_SETTINGS = {
    "tcp_keepalives_idle": "30",  # s
    "tcp_keepalives_interval": "10",  # s
    "tcp_keepalives_count": "3",
}
# How soon it notices that a client has died, by kill -9 or by its user, while a statement runs.
# Else a report that nobody waits for goes on to its end, and its snapshot holds back vacuum.
DEAD_CLIENT_AFTER = "5s"
_CLIENT_GRACE_S = 5.0  # how much later than the server the client gives up on a statement


class Databases:
    """The pools of one process: `app`, `control` and `operator`. Close it when done."""

    def __init__(self, dsn_for: DsnFor, pools: Mapping[PoolRole, Any], application: str) -> None:
        """Use `Databases.open`."""
        self._dsn_for = dsn_for
        self._pools = pools
        self._application = application
        self.app = pools["app"]
        self.control = pools["control"]
        self.operator = pools["operator"]

    @classmethod
    async def open(cls, dsn_for: DsnFor, *, application: str = "tenantry") -> Self:
        """Connect, and refuse a server or a schema that we cannot rely on.

        `dsn_for` is asked anew for each connection: an embedded server's port may change.
        Raises SchemaNewer, MigrationEdited, MigrationsMissing; Unavailable where no server that
        writes is in reach, or it lets nobody in or must not be used: its cause is LoginRefused,
        NotDurable, ServerTooOld, EncodingUnfit, PoolerBetween, RoleTooStrong or WrongServer
        then.
        """
        pools: dict[PoolRole, Any] = {}
        try:
            with outages_are_unavailable():
                for role in POOL_SIZE_MAX:
                    pools[role] = await _open_pool(dsn_for, role, application)
                await _check_migrated(pools["control"])
        except BaseException:
            for pool in pools.values():
                pool.terminate()
            raise
        return cls(dsn_for, pools, application)

    async def open_pinned(self, role: PoolRole) -> Any:
        """Return a connection outside the pools, with its plans pinned, for one batcher.

        Its prepared statements live as long as it does. Reconnecting is the caller's business.
        """
        with outages_are_unavailable():
            connection = await _connect(
                self._dsn_for,
                role,
                server_settings=_settings(role, self._application) | PINNED_SETTINGS,
                timeout=CONNECT_TIMEOUT_S,
                max_cached_statement_lifetime=0,  # never: a batcher has a handful of statements
            )
            try:
                await prove_reached(connection)
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def close(self) -> None:
        """Wait for the connections that are out, then close them all."""
        for pool in self._pools.values():
            await pool.close()

    def terminate(self) -> None:
        """Close every connection at once."""
        for pool in self._pools.values():
            pool.terminate()


async def open_control_pool(dsn_for: DsnFor, application: str) -> Any:
    """One connection as `control`, made again where it is lost; for who needs no more."""
    with outages_are_unavailable():
        return await _open_pool(dsn_for, "control", application, size_max=1)


async def _open_pool(
    dsn_for: DsnFor, role: PoolRole, application: str, size_max: int | None = None
) -> Any:
    return await asyncpg.create_pool(
        connect=functools.partial(_connect, dsn_for, role),
        connection_class=UnitConnection if role == "app" else asyncpg.Connection,
        init=prove_reached,
        min_size=1,
        max_size=size_max or POOL_SIZE_MAX[role],
        server_settings=_settings(role, application),
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_TIMEOUT_MS[role] / 1000 + _CLIENT_GRACE_S,
    )


async def _connect(dsn_for: DsnFor, role: PoolRole, *_given: object, **options: Any) -> Any:
    return await reach(dsn_for(role), **options)


def _settings(role: PoolRole, application: str) -> dict[str, str]:
    settings = {
        "application_name": f"{application} {role}",
        "search_path": "tenantry, pg_temp",
        "timezone": "UTC",
        "default_transaction_isolation": "read committed",
        "statement_timeout": str(STATEMENT_TIMEOUT_MS[role]),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
    }
    settings |= KEEPALIVE_SETTINGS
    if role != "app":  # whose statements are short
        settings["client_connection_check_interval"] = DEAD_CLIENT_AFTER
    if role == "operator":
        settings["default_transaction_read_only"] = "on"
    return settings


async def _check_migrated(pool: Any) -> None:
    migrations = load_migrations()
    async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        if await check_schema(connection, migrations) < len(migrations):
            raise MigrationsMissing()


def derived_dsns(url: str, secret: bytes) -> LoginDsnFor:
    """Return how each role reaches the server of `url`, with a password derived of the secret.

    `url` is TENANTRY_DATABASE_URL; its host, port, database and options hold for every role.
    """
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]

    def dsn_for(role: LoginRole) -> str:
        user = f"tenantry_{role}"
        login = f"{user}:{quote(derive_password(secret, user), safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{address}"))

    return dsn_for
