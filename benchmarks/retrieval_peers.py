"""Other engines on the same vectors, in clear: pgvector in the same PostgreSQL, qdrant-edge here.

Each returns five rows with their texts, as the sealed search does; each searches in one thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np

from benchmarks.retrieval_data import F32, chunk_of
from benchmarks.retrieval_world import TOP_K

_HNSW = {"m": 16, "build": 64, "search": 64}  # of both engines
_BATCH = 1_000
Search = Callable[[Any], Awaitable[set[int]]]


_CREATE = "CREATE TABLE {} (id int PRIMARY KEY, body text, v halfvec({}) {})"


class PgVector:
    """halfvec twice: as pgvector's own documentation has it (cosine distance, its way to store),
    and tuned (inner product of unit vectors, rows in the table's pages, no TOAST).
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.build_s = 0.0

    @classmethod
    async def open(cls, dsn: str, vectors: F32) -> PgVector:
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE SCHEMA peer; CREATE EXTENSION vector SCHEMA peer")
        await connection.execute("SET search_path = peer")
        for table, storage in (("passage", ""), ("tuned", "STORAGE PLAIN")):
            await connection.execute(_CREATE.format(table, vectors.shape[1], storage))
        await connection.set_type_codec(
            "halfvec", schema="peer", encoder=_to_halfvec, decoder=bytes, format="binary"
        )
        rows = _units(vectors)
        records = [(row, chunk_of(row, 0).text, rows[row]) for row in range(len(rows))]
        for table in ("passage", "tuned"):
            await connection.copy_records_to_table(table, schema_name="peer", records=records)
            await connection.execute(f"VACUUM ANALYZE {table}")
        await connection.execute(
            "SET max_parallel_workers_per_gather = 0; SET max_parallel_maintenance_workers = 0;"
            "SET jit = off; SET maintenance_work_mem = '1GB';"
            f"SET hnsw.ef_search = {_HNSW['search']}"
        )
        return cls(connection)

    async def build_hnsw(self) -> None:
        begun = time.perf_counter()
        await self._connection.execute(
            "CREATE INDEX passage_v ON passage USING hnsw (v halfvec_cosine_ops)"
            f" WITH (m = {_HNSW['m']}, ef_construction = {_HNSW['build']})"
        )
        self.build_s = time.perf_counter() - begun

    async def search(self, query: Any) -> set[int]:
        return await self._search("passage", "<=>", query)

    async def tuned(self, query: Any) -> set[int]:
        return await self._search("tuned", "<#>", query)

    async def _search(self, table: str, distance: str, query: Any) -> set[int]:
        asked = f"SELECT id, body, v {distance} $1 AS far FROM peer.{table}"
        rows = await self._connection.fetch(f"{asked} ORDER BY far LIMIT {TOP_K}", query)
        return {row["id"] for row in rows}

    async def close(self) -> None:
        await self._connection.execute("DROP SCHEMA peer CASCADE")
        await self._connection.close()


class QdrantEdge:
    """A shard in a folder, float32, dot product of unit vectors."""

    def __init__(self, folder: Path, vectors: F32) -> None:
        import qdrant_edge as qdrant

        self._qdrant = qdrant
        config = qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(vectors.shape[1], qdrant.Distance.Dot),
            hnsw_config=qdrant.HnswIndexConfig(_HNSW["m"], _HNSW["build"], 10_000),
            max_search_threads=1,
        )
        self._shard = qdrant.EdgeShard.create(str(folder), config)
        rows = _units(vectors)
        begun = time.perf_counter()
        for start in range(0, len(rows), _BATCH):
            points = [
                qdrant.Point(row, rows[row].tolist(), {"body": chunk_of(row, 0).text})
                for row in range(start, min(start + _BATCH, len(rows)))
            ]
            self._shard.update(qdrant.UpdateOperation.upsert_points(points))
        self._shard.flush()
        self.load_s = time.perf_counter() - begun
        self.build_s = 0.0
        self._exact = qdrant.SearchParams(exact=True)
        self._approximate = qdrant.SearchParams(hnsw_ef=_HNSW["search"])

    def build_hnsw(self) -> None:
        begun = time.perf_counter()
        self._shard.optimize()
        self.build_s = time.perf_counter() - begun

    async def exact(self, query: Any) -> set[int]:
        return self._search(query, self._exact)

    async def approximate(self, query: Any) -> set[int]:
        return self._search(query, self._approximate)

    def _search(self, query: Any, params: Any) -> set[int]:
        asked = self._qdrant.QueryRequest(
            limit=TOP_K,
            query=self._qdrant.Query.Nearest(query),
            with_payload=True,
            params=params,
        )
        return {int(point.id) for point in self._shard.query(asked)}

    def close(self) -> None:
        self._shard.close()


async def timed(search: Search, queries: Sequence[Any]) -> tuple[list[float], list[set[int]]]:
    """Milliseconds of each search, and the rows that it found."""
    times, found = [], []
    for query in queries:
        begun = time.perf_counter()
        rows = await search(query)
        times.append((time.perf_counter() - begun) * 1_000)
        found.append(rows)
    return times, found


def scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tenantry-bench-")


def _units(vectors: F32) -> F32:
    units: F32 = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def _to_halfvec(vector: Any) -> bytes:
    """pgvector's binary form: length, a zero, and big-endian numbers of 16 bits."""
    numbers = np.asarray(vector, dtype=">f2")
    return len(numbers).to_bytes(2) + bytes(2) + numbers.tobytes()
