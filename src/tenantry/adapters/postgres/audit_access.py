"""The database as an audit of isolation sees it: each role with plain SQL, and the superuser.

For the audit alone: nothing that serves a request has such a connection. What is tried as a role is
rolled back; what the superuser changes are rows of the audit's own canaries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import asyncpg

from tenantry.adapters.postgres.dial import connect
from tenantry.adapters.postgres.errors import DatabaseError
from tenantry.adapters.postgres.walls import Walls, question

AuditRole = Literal["app", "control", "operator", "superuser"]
STATEMENT_TIMEOUT_MS = 20_000
CONNECT_TIMEOUT_S = 5.0
# As `walls.txt` was written; a server may have others, and tells conditions in them.
_SPELLING = {"intervalstyle": "postgres", "datestyle": "ISO", "quote_all_identifiers": "off"}
_TABLES = (
    "SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a"
    " ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped"
    " WHERE c.relnamespace = 'tenantry'::regnamespace AND c.relkind IN ('r', 'p')"
    " AND NOT c.relispartition ORDER BY 1"
)
_PASSES = "SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = session_user"


class AuditAccess:
    """One connection a role, opened when it is first asked for. Lives on one event loop."""

    def __init__(self, dsn_for: Callable[[AuditRole], str]) -> None:
        self._dsn_for = dsn_for
        self._connections: dict[AuditRole, Any] = {}

    async def tenant_tables(self) -> list[str]:
        """Every table that has a tenant's rows, without their partitions."""
        return [row[0] for row in await self.rows("superuser", _TABLES)]

    async def passes_row_security(self) -> bool:
        """Whether the administrator's role can move rows between tenants at all."""
        return bool((await self.rows("superuser", _PASSES))[0][0])

    async def walls(self) -> Walls:
        """What the catalogue has of the walls, to be held against those that are shipped."""
        ((migrations,),) = await self.rows("control", question("migrations"))
        facts = await self.catalogue("facts")
        return Walls(migrations, frozenset((row[0], row[1]) for row in facts))

    async def catalogue(self, name: str, *values: object) -> list[Any]:
        """The answer to a question of `sql/walls.sql`."""
        return await self.rows("superuser", question(name), *values)

    async def rows(
        self, role: AuditRole, query: str, *values: object, tenant: str | None = None
    ) -> list[Any]:
        """What a role reads, in a transaction that is rolled back. Raises `asyncpg` errors."""
        connection = await self._connection(role)
        transaction = connection.transaction()
        await transaction.start()
        try:
            await _take_up(connection, tenant)
            found: list[Any] = await connection.fetch(query, *values)
            return found
        finally:
            await transaction.rollback()

    async def refusal(
        self, role: AuditRole, statement: str, *values: object, tenant: str | None = None
    ) -> str | None:
        """Why a role may not do it: the SQLSTATE; `none` where it touches no row. None: it may.

        Rolled back either way.
        """
        connection = await self._connection(role)
        transaction = connection.transaction()
        await transaction.start()
        try:
            await _take_up(connection, tenant)
            tag: str = await connection.execute(statement, *values)
            return "none" if tag.rpartition(" ")[2] == "0" else None
        except asyncpg.PostgresError as error:
            return error.sqlstate or "error"
        finally:
            await transaction.rollback()

    async def change(self, statements: Sequence[tuple[str, Sequence[object]]]) -> None:
        """Changes of the canaries' rows, in one transaction, by who passes row security."""
        connection = await self._connection("superuser")
        async with connection.transaction():
            for statement, values in statements:
                await connection.execute(statement, *values)

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()

    async def _connection(self, role: AuditRole) -> Any:
        if role not in self._connections:
            try:
                self._connections[role] = await connect(
                    self._dsn_for(role),
                    timeout=CONNECT_TIMEOUT_S,
                    server_settings={
                        "application_name": f"tenantry audit {role}",
                        "search_path": "tenantry, pg_temp",
                        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                        **_SPELLING,
                    },
                )
            except (OSError, asyncpg.PostgresError, TimeoutError) as error:
                raise DatabaseError(f"role {role} cannot log in: {type(error).__name__}") from None
        return self._connections[role]


async def _take_up(connection: Any, tenant: str | None) -> None:
    if tenant is not None:
        await connection.execute("SELECT set_config('tenantry.tenant', $1, true)", tenant)
