"""A row of each of two tenants in every table, whatever its columns are, in a throwaway database.

Row security is tried on rows, and most tables have none until something rare has happened. So the
table's own rules are taken away (checks, foreign keys, triggers), never its row policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from tests.support.postgres import Database

ANNA, BERT = "tnt_" + "a" * 26, "tnt_" + "b" * 26
NO_RIGHT = "42501"
_TABLES = (
    "SELECT c.oid, c.relname::text AS name FROM pg_class c JOIN pg_attribute a"
    " ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
    " WHERE c.relnamespace = 'tenantry'::regnamespace AND c.relkind IN ('r', 'p')"
    " AND (NOT c.relispartition OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))"
    " ORDER BY 2"
)
_COLUMNS = (
    "SELECT a.attname::text AS name, format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype"
    " ELSE t.oid END, NULL) AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    " WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped"
    " AND a.attnotnull ORDER BY a.attnum"
)
_DOMAINS = (
    "SELECT contypid::regtype::text, conname FROM pg_constraint WHERE contypid <> 0"
    " AND connamespace = 'tenantry'::regnamespace AND contype = 'c'"
)
_VALUES: Mapping[str, str] = {
    "text": "md5(random()::text)",
    "text[]": "'{}'",
    "bytea": "decode(md5(random()::text) || md5(random()::text), 'hex')",
    "uuid": "gen_random_uuid()",
    "jsonb": "'{}'",
    "boolean": "true",
    "date": "current_date",
    "timestamp with time zone": "clock_timestamp() + interval '1 day'",
    "bigint[]": "'{}'",
    "numeric[]": "'{}'",
}
# A further row of one tenant, which the control plane's work is for.
DUE: Mapping[str, Mapping[str, str]] = {
    "document": {"state": "'indexing'"},
    "reindex": {"state": "'running'"},
    "idempotency": {"expires_at": "clock_timestamp() - interval '1 hour'"},
    "answer": {"expires_at": "clock_timestamp() - interval '1 hour'"},
    "session": {"expires_at": "clock_timestamp() - interval '1 hour'"},
}
# What a partition key must be for the row to have a place.
_PLACES: Mapping[tuple[str, str], str] = {
    ("idempotency", "kind"): "'given'",
    ("idempotency_given", "kind"): "'given'",
    ("idempotency_implied", "kind"): "'implied'",
}


@dataclass(frozen=True, slots=True)
class Planted:
    """The tables, and for each the statement that adds a row of tenant `$1`."""

    inserts: Mapping[str, str]

    @property
    def tables(self) -> Sequence[str]:
        return list(self.inserts)


async def plant(database: Database) -> Planted:
    """Rows of both tenants in every table of tenants. As the superuser."""
    connection = await asyncpg.connect(database.dsn("superuser"))
    try:
        await connection.execute("SET session_replication_role = replica")
        for row in await connection.fetch(_DOMAINS):
            await connection.execute(f'ALTER DOMAIN {row[0]} DROP CONSTRAINT "{row[1]}"')
        inserts = {}
        for table in await connection.fetch(_TABLES):
            name = table["name"]
            await _without_rules(connection, table["oid"], name)
            inserts[name] = await _insert(connection, table["oid"], name)
            for tenant in (ANNA, BERT):
                await connection.execute(inserts[name], tenant)
            if name in DUE:
                due = await _insert(connection, table["oid"], name, DUE[name])
                await connection.execute(due, BERT)
    finally:
        await connection.close()
    return Planted(inserts)


async def _without_rules(connection: Any, oid: int, name: str) -> None:
    for row in await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = $1 AND contype IN ('c', 'f')"
        " AND coninhcount = 0",
        oid,
    ):
        await connection.execute(f'ALTER TABLE tenantry.{name} DROP CONSTRAINT "{row[0]}" CASCADE')
    await connection.execute(f"ALTER TABLE tenantry.{name} DISABLE TRIGGER USER")


async def _insert(
    connection: Any, oid: int, name: str, given: Mapping[str, str] | None = None
) -> str:
    columns, values = [], []
    for column in await connection.fetch(_COLUMNS, oid):
        columns.append(column["name"])
        if column["name"] == "tenant_id":
            values.append("$1")
        elif column["name"] in (given or {}):
            values.append((given or {})[column["name"]])
        elif (name, column["name"]) in _PLACES:
            values.append(_PLACES[name, column["name"]])
        else:
            values.append(_VALUES.get(column["type"], "1"))
    return (
        f"INSERT INTO tenantry.{name} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE"
        f" VALUES ({', '.join(values)})"
    )


async def as_role(database: Database, role: Any, tenant: str | None) -> Any:
    """A connection in a transaction of a tenant that nothing will commit."""
    connection = await asyncpg.connect(database.dsn(role))
    await connection.execute("BEGIN")
    if tenant is not None:
        await connection.execute("SELECT set_config('tenantry.tenant', $1, true)", tenant)
    return connection


async def refused(connection: Any, statement: str, *values: object) -> str | None:
    """The SQLSTATE of a statement, `none` where it touches no row; None where it does."""
    await connection.execute("SAVEPOINT s")
    try:
        tag: str = await connection.execute(statement, *values)
        return "none" if tag.rpartition(" ")[2] == "0" else None
    except asyncpg.PostgresError as error:
        return error.sqlstate or "error"
    finally:
        await connection.execute("ROLLBACK TO SAVEPOINT s")
