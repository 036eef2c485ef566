"""`ports.archive.LedgerMonths`: months are read as control, and dropped as the owner."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import asyncpg

from tenantry.adapters.postgres.dial import reach
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.adapters.postgres.pooled import Pooled
from tenantry.adapters.postgres.statements import statements
from tenantry.domain.archive import Book, BookSum
from tenantry.domain.errors import Conflict
from tenantry.ports.archive import Archived, Carried, Obstacles, Row

BATCH_ROWS = 5_000
NAMED_MAX = 10  # requests, periods and adjustments that stand in a month's way, of each
READ_TIMEOUT_S = 3_600  # of a statement: the first rows of a month come when it is sorted
REPLACE_TIMEOUT_S = 600
# At the end admission waits for what we wait for, as where a partition is made.
LOCK_TIMEOUT_MS = 250
CONNECT_TIMEOUT_S = 5.0


class PostgresLedgerMonths(Pooled):
    """`migrator_dsn` tells how `tenantry_migrator` logs in, who alone acts as the owner; asked anew
    each time, since an embedded server's port may change.
    """

    def __init__(self, control_pool: Any, migrator_dsn: Callable[[], str]) -> None:
        super().__init__(control_pool, "sql/archive.sql")
        self._migrator_dsn = migrator_dsn

    async def oldest(self) -> date | None:
        month: date | None = (await self._fetch("oldest"))[0]["month"]
        return month

    async def obstacles(self, month: date) -> Obstacles | None:
        reasons = [row["reason"] for row in await self._fetch("obstacles", month)]
        if not reasons:
            return None
        rows = await self._fetch("in_the_way", month, NAMED_MAX)
        return Obstacles(
            reasons,
            [row["told"] for row in rows],
            rows[0]["total"] - len(rows) if rows else 0,
        )

    @asynccontextmanager
    async def reading(self, month: date) -> AsyncIterator[_Reader]:
        async with self._transaction(isolation="repeatable_read", readonly=True) as connection:
            await connection.execute(
                f"SET LOCAL statement_timeout = '{READ_TIMEOUT_S}s';"
                # While a batch is compressed or a file read back, it waits for us.
                "SET LOCAL idle_in_transaction_session_timeout = 0"
            )
            yield _Reader(connection, month)

    async def replace(
        self, month: date, manifest: str, manifest_sha256: bytes, entries: Sequence[Carried]
    ) -> None:
        told = [
            {
                **each.total.to_json(),
                "content": each.content.decode(),
                "signature": each.signature.hex(),
            }
            for each in entries
        ]
        values = (month, manifest, manifest_sha256, json.dumps(told))
        with outages_are_unavailable():
            connection = await reach(
                self._migrator_dsn(),
                timeout=CONNECT_TIMEOUT_S,
                server_settings={
                    "application_name": "tenantry archive",
                    "search_path": "pg_catalog, pg_temp",
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                    "statement_timeout": f"{REPLACE_TIMEOUT_S}s",
                },
            )
            try:
                await connection.execute("SET ROLE tenantry_owner")
                async with connection.transaction():
                    await connection.fetch(self._sql["replace"], *values, timeout=REPLACE_TIMEOUT_S)
            except asyncpg.LockNotAvailableError:
                raise Conflict(f"{month:%Y-%m}: the ledger is busy; run it again.") from None
            except asyncpg.ObjectNotInPrerequisiteStateError as refused:
                raise Conflict(f"{month:%Y-%m} is not archived: {refused}.") from None
            finally:
                await connection.close()

    async def archived(self) -> list[Archived]:
        return [
            Archived(row["month"], row["manifest"], row["manifest_sha256"], row["archived_at"])
            for row in await self._fetch("archived")
        ]

    async def carried(self, month: date) -> list[Carried]:
        found = []
        for row in await self._fetch("carried", month):
            quantities, accounts = _signed(row["content"])
            total = BookSum(
                row["tenant_id"],
                row["book"],
                row["currency"],
                row["entries"],
                row["amount"],
                quantities,
                accounts,
            )
            found.append(Carried(total, row["content"].encode(), row["signature"]))
        return found


class _Reader:
    def __init__(self, connection: Any, month: date) -> None:
        self._connection = connection
        self._month = month
        self._sql = statements("sql/archive.sql")

    async def sums(self) -> list[BookSum]:
        rows = await self._connection.fetch(self._sql["sums"], self._month, timeout=READ_TIMEOUT_S)
        return [
            BookSum(
                row["tenant_id"],
                row["book"],
                row["currency"],
                row["entries"],
                row["amount"],
                json.loads(row["quantities"]),
                json.loads(row["accounts"]),
            )
            for row in rows
        ]

    async def rows(self, book: Book) -> AsyncIterator[Sequence[Row]]:
        cursor = await self._connection.cursor(self._sql[f"{book}_rows"], self._month)
        while rows := await cursor.fetch(BATCH_ROWS, timeout=READ_TIMEOUT_S):
            yield [dict(row) for row in rows]


def _signed(content: str) -> tuple[Mapping[str, int], Mapping[str, str]]:
    """What an entry's signed content tells of it; nothing where it is no such content any more."""
    try:
        told = json.loads(content)
        return told["quantities"], told["accounts"]
    except (ValueError, KeyError, TypeError):
        return {}, {}
