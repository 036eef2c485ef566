"""`ports.rollups.Rollups`: each step is one transaction with one snapshot of the ledger.

A step that dies leaves nothing behind. Of two workers one does a step: they meet at the row that
says how far the ledger is rolled up, and the later one gives up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from tenantry.adapters.postgres.pooled import Pooled

STATEMENT_TIMEOUT_S = 600  # of an hour in which everyone was busy
RETREAT_MAX_H = 31 * 24  # rolled up before their time, that are given up at once
# Before the newest that has begun: the period that is invoiced next, and the one before.
LOOK_BACK_H = 62 * 24
_TABLES = ("charges", "charge_details", "cost_details")
_MET = (asyncpg.SerializationError, asyncpg.UniqueViolationError)  # another worker, at the same


@dataclass(frozen=True, slots=True)
class Ahead:
    """Roll-ups of hours that are yet to come."""

    through: datetime
    for_good: datetime | None  # before it they are never given up; None: they are, all of them


class PostgresRollups(Pooled):
    def __init__(self, control_pool: Any) -> None:
        super().__init__(control_pool, "sql/rollups.sql")

    async def advance(self, hours: int) -> bool:
        with suppress(*_MET):
            async with self._step() as connection:
                next_hours = await self._next_hours(connection, hours)
                since, until, back = (next_hours[name] for name in ("since", "until", "back"))
                if back is not None:
                    [every] = await self._run(connection, "every_tenant")
                    await self._forget(connection, back, since, every["tenants"])
                    await self._run(connection, "reach", back)
                    return True
                if since >= until:
                    return False
                marked = await self._run(connection, "marked_hours", since, until)
                await self._mend(connection, marked)
                await self._fill(connection, since, until, None)
                await self._run(connection, "reach", until)
                return True
        return False

    async def renew(self, hours: int) -> int:
        done = 0
        while done < hours and await self._renew():
            done += 1
        return done

    async def look_back(self, before: datetime | None, hours: int) -> datetime | None:
        with suppress(*_MET):
            async with self._step() as connection:
                [span] = await self._run(connection, "hours_before", before, hours, LOOK_BACK_H)
                if span["since"] >= span["until"]:
                    return None
                differing = await self._run(connection, "differing", span["since"], span["until"])
                await self._fill_anew(connection, differing)
                since: datetime = span["since"]
                return since
        return before

    async def ahead(self) -> Ahead | None:
        """Where the roll-ups go beyond what the database's clock says."""
        async with self._step() as connection:
            rows = await self._run(connection, "ahead")
            return Ahead(rows[0]["through"], rows[0]["for_good"]) if rows else None

    async def _renew(self) -> bool:
        """The oldest hour that has marks, if any."""
        with suppress(*_MET):
            async with self._step() as connection:
                next_hours = await self._next_hours(connection, 0)
                late = await self._run(connection, "late_hours", next_hours["since"], 1)
                await self._fill_anew(connection, late)
                return bool(late)
        return False

    async def _next_hours(self, connection: Any, hours: int) -> Any:
        [next_hours] = await self._run(connection, "next_hours", hours, RETREAT_MAX_H)
        return next_hours

    async def _fill_anew(self, connection: Any, rows: Sequence[Any]) -> None:
        """Hours, each with the tenants concerned."""
        await self._mend(connection, rows)
        for row in rows:
            hour, tenants = row["hour"], row["tenants"]
            until = hour + timedelta(hours=1)
            await self._forget(connection, hour, until, tenants)
            await self._fill(connection, hour, until, tenants)

    async def _mend(self, connection: Any, rows: Sequence[Any]) -> None:
        """Keeps what invoices may lack of hours that are filled anew, or at first though they have
        a mark: an invoice read in the ledger what was there by then."""
        for row in rows:
            await self._run(connection, "mend", row["hour"], row["tenants"])

    async def _forget(
        self, connection: Any, since: datetime, until: datetime, tenants: list[str]
    ) -> None:
        for table in _TABLES:
            await self._run(connection, f"forget_{table}", since, until, tenants)

    async def _fill(
        self, connection: Any, since: datetime, until: datetime, tenants: list[str] | None
    ) -> None:
        for table in _TABLES:
            await self._run(connection, table, since, until, tenants)
        await self._run(connection, "forget_marks", since, until, tenants)

    async def _run(self, connection: Any, name: str, *values: object) -> list[Any]:
        rows: list[Any] = await connection.fetch(
            self._sql[name], *values, timeout=STATEMENT_TIMEOUT_S
        )
        return rows

    @asynccontextmanager
    async def _step(self) -> AsyncIterator[Any]:
        async with self._transaction(isolation="repeatable_read") as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_S}s'")
            yield connection
