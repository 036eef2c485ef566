"""The database of the vector engine `pgvector`: its schema, its role, its connections.

It may be Tenantry's own database or another one. The role `tenantry_vectors` can reach nothing but
the table of passages, and of that one tenant's rows in each transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from tenantry.adapters.postgres.connections import (
    CONNECT_TIMEOUT_S,
    IDLE_IN_TRANSACTION_TIMEOUT_MS,
    KEEPALIVE_SETTINGS,
    LOCK_TIMEOUT_MS,
)
from tenantry.adapters.postgres.dial import connect, prove_reached, reach
from tenantry.adapters.postgres.errors import PgvectorMissing
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.roles import derive_password, to_scram_verifier
from tenantry.adapters.postgres.unit_connection import UnitConnection

ROLE = "tenantry_vectors"
POOL_SIZE_MAX = 8
STATEMENT_TIMEOUT_MS = 30_000  # an exact search of a million vectors takes about a second
_CLIENT_GRACE_S = 5.0
_SCHEMA = Path(__file__).with_name("pgvector.sql")


async def prepare_pgvector(admin_dsn: str, secret: bytes) -> None:
    """Make role and schema where they are not there, and set the role's password. Idempotent.

    Raises PgvectorMissing where the extension is not there and this role cannot install it,
    Unavailable where the server is out of reach.
    """
    with outages_are_unavailable():
        connection = await connect(admin_dsn, timeout=CONNECT_TIMEOUT_S)
    try:
        async with connection.transaction():
            verifier = to_scram_verifier(derive_password(secret, ROLE))
            await connection.execute(
                "SELECT set_config('tenantry.vectors_verifier', $1, true)", verifier
            )
            await connection.execute(_SCHEMA.read_text(encoding="utf-8"))
    except (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedFileError) as error:
        raise PgvectorMissing() from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise PgvectorMissing(f"pgvector cannot be set up: {error}.") from error
    finally:
        await connection.close()


async def open_pgvector(dsn_for: Callable[[], str], secret: bytes, application: str) -> Any:
    """A pool of the role's connections, each proved before its first use. Unavailable as for
    `Databases.open`.

    `dsn_for` gives the address, with any login in it; it is asked anew for each connection.
    """
    password = derive_password(secret, ROLE)

    async def open_one(*_given: object, **options: Any) -> Any:
        return await reach(_as_role(dsn_for(), password), **options)

    with outages_are_unavailable():
        return await asyncpg.create_pool(
            connect=open_one,
            connection_class=UnitConnection,
            init=prove_reached,
            min_size=0,
            max_size=POOL_SIZE_MAX,
            server_settings={
                "application_name": f"{application} vectors",
                "timezone": "UTC",
                "default_transaction_isolation": "read committed",
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
                # A plan for every tenant would open every tenant's partition.
                "plan_cache_mode": "force_custom_plan",
                **KEEPALIVE_SETTINGS,
            },
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_MS / 1_000 + _CLIENT_GRACE_S,
        )


def _as_role(dsn: str, password: str) -> str:
    parts = urlsplit(dsn)
    address = parts.netloc.rpartition("@")[2]
    login = f"{ROLE}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{address}"))
