"""pgvector: a list partition a tenant, forced row security, a unit of work for one tenant.

A search compares every row of the tenant's partition, which is exact over the 16-bit values that
are stored, unless an HNSW index is asked for. Rows are reached through the parent table alone, by a
role that has nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import asyncpg

from tenantry.adapters.vectors.engine import Hit, Row, RowId, misaddressed, scope_of
from tenantry.domain.document import Home
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import SegmentId, TenantId

INDEXED_DIMENSIONS_MAX = 4_000  # pgvector 0.8: of an HNSW index over `halfvec`
EF_SEARCH_MIN, EF_SEARCH_MAX = 40, 1_000  # pgvector's default, and its limit
DROP_ATTEMPTS = 20
DROP_PAUSE_S = 0.1
_OPENED_MAX = 10_000  # rooms that are known to be there


class Reading(Protocol):
    async def fetch(self, query: str, *values: object) -> list[Any]: ...

    async def fetchval(self, query: str, *values: object) -> Any: ...


class Writing(Reading, Protocol):
    async def execute(self, query: str, *values: object) -> str: ...

    async def executemany(self, query: str, rows: Sequence[Sequence[object]]) -> None: ...


class Work(Protocol):
    """Transactions made for one tenant, whose row policy they set."""

    def reading(self, tenant_id: TenantId) -> AbstractAsyncContextManager[Reading]: ...

    def writing(self, tenant_id: TenantId) -> AbstractAsyncContextManager[Writing]: ...


class Pgvector:
    """`Engine`. `close` is what ends its connections."""

    name = "pgvector"

    def __init__(
        self,
        work: Work,
        statements: Mapping[str, str],
        close: Callable[[], Any],
        *,
        indexed: bool = False,
    ) -> None:
        self.exact = not indexed
        self._work = work
        self._sql = statements
        self._close = close
        self._opened: dict[tuple[str, int], None] = {}

    def room(self, home: Home) -> PartitionRoom:
        return PartitionRoom(
            self._work, self._sql, self._opened, TenantId(scope_of(home)), indexed=not self.exact
        )

    async def close(self) -> None:
        await self._close()


class PartitionRoom:
    """`Room`: one tenant's partition."""

    def __init__(
        self,
        work: Work,
        sql: Mapping[str, str],
        opened: dict[tuple[str, int], None],
        tenant_id: TenantId,
        *,
        indexed: bool,
    ) -> None:
        self._work = work
        self._sql = sql
        self._opened = opened
        self._tenant_id = tenant_id
        self._indexed = indexed

    async def put(self, rows: Sequence[Row]) -> None:
        dimensions = len(rows[0].vector)
        values = [
            (
                self._tenant_id,
                row.id.segment_id,
                row.id.number,
                dimensions,
                _literal(row.vector),
                row.sealed,
            )
            for row in rows
        ]
        if (self._tenant_id, dimensions) not in self._opened:
            await self._open(dimensions)
        try:
            await self._write(values)
        except asyncpg.CheckViolationError:  # dropped since, perhaps by another process
            await self._open(dimensions)
            await self._write(values)

    async def settle(self, segment_id: SegmentId, rows: int) -> None:
        """Committed is searchable."""

    async def search(
        self, vector: Sequence[float], limit: int, segments: Sequence[SegmentId] | None = None
    ) -> Sequence[Hit]:
        dimensions, wanted = len(vector), None if segments is None else list(segments)
        query = (self._tenant_id, _literal(vector))
        async with self._work.reading(self._tenant_id) as unit:
            if not self._indexed or dimensions > INDEXED_DIMENSIONS_MAX:
                found = await unit.fetch(self._sql["search"], *query, dimensions, limit, wanted)
            else:
                reach = min(max(limit, EF_SEARCH_MIN), EF_SEARCH_MAX)
                await unit.fetch(self._sql["widen"], str(reach))
                text = self._sql["search_indexed"].replace("{dimensions}", str(dimensions))
                found = await unit.fetch(text, *query, limit, wanted)
        return [self._hit(row) for row in found]

    async def fetch(self, ids: Sequence[RowId], dimensions: int) -> Sequence[Hit]:
        segments, numbers = [item.segment_id for item in ids], [item.number for item in ids]
        async with self._work.reading(self._tenant_id) as unit:
            found = await unit.fetch(self._sql["fetch"], self._tenant_id, segments, numbers)
        return [self._hit(row) for row in found]

    async def delete(self, segments: Sequence[SegmentId]) -> None:
        async with self._work.writing(self._tenant_id) as unit:
            await unit.execute(self._sql["delete"], self._tenant_id, list(segments))

    async def segments(self) -> Sequence[SegmentId]:
        async with self._work.reading(self._tenant_id) as unit:
            found = await unit.fetch(self._sql["segments"], self._tenant_id)
        return [SegmentId(row["segment_id"]) for row in found]

    async def drop(self) -> None:
        """The rows at once; the empty partition when no other tenant's reader is in the way."""
        for key in [key for key in self._opened if key[0] == self._tenant_id]:
            self._opened.pop(key, None)
        async with self._work.writing(self._tenant_id) as unit:
            await unit.fetchval(self._sql["empty_room"])
        for _ in range(DROP_ATTEMPTS):
            async with self._work.writing(self._tenant_id) as unit:
                if await unit.fetchval(self._sql["close_room"]):
                    return
            await asyncio.sleep(DROP_PAUSE_S)
        raise Unavailable("The tenant's vectors are deleted; their empty partition is in use.")

    async def _open(self, dimensions: int) -> None:
        async with self._work.writing(self._tenant_id) as unit:
            await unit.fetchval(self._sql["open_room"], dimensions if self._indexed else None)
        while len(self._opened) >= _OPENED_MAX:
            self._opened.pop(next(iter(self._opened)))
        self._opened[self._tenant_id, dimensions] = None

    async def _write(self, values: Sequence[Sequence[object]]) -> None:
        async with self._work.writing(self._tenant_id) as unit:
            await unit.executemany(self._sql["put"], values)

    def _hit(self, row: Any) -> Hit:
        if row["tenant_id"] != self._tenant_id:
            raise misaddressed()
        row_id = RowId(SegmentId(row["segment_id"]), row["row_number"])
        return Hit(row_id, row["sealed"], float(row["score"]))


def _literal(vector: Sequence[float]) -> str:
    """A vector in pgvector's text form."""
    return "[" + ",".join(map(repr, vector)) + "]"
