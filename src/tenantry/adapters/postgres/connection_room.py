"""How many connections a server grants us: of itself, of our database, of each of our roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.adapters.postgres.pooled import Pooled

_SERVER: Final = """
SELECT current_setting('max_connections')::integer
       - current_setting('superuser_reserved_connections')::integer
       - current_setting('reserved_connections')::integer"""
_DATABASE: Final = """
SELECT nullif(datconnlimit, -1) FROM pg_catalog.pg_database WHERE datname = current_database()"""
_ROLES: Final = """
SELECT rolname, rolconnlimit FROM pg_catalog.pg_roles
WHERE rolname = ANY($1::text[]) AND rolconnlimit >= 0"""


@dataclass(frozen=True, slots=True)
class Room:
    """`server`: less what it keeps for others than us, whoever else uses it. None, and a role that
    is not there: no limit."""

    server: int
    database: int | None
    roles: Mapping[str, int]


class PostgresRoom(Pooled):
    async def read(self, roles: list[str]) -> Room:
        async with self._connection() as connection:
            server: Any = await connection.fetchval(_SERVER)
            database: Any = await connection.fetchval(_DATABASE)
            limits = await connection.fetch(_ROLES, roles)
        return Room(server, database, {row["rolname"]: row["rolconnlimit"] for row in limits})
