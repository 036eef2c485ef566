"""The parts of `make bench-retrieval` at its default scale."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from tests.support.postgres import Database, Databases, running_databases

from benchmarks.ledger import Measured
from benchmarks.result import Bar, result_line
from benchmarks.retrieval_data import F32, TEXT_BYTES, Clustered, documents, real_embeddings
from benchmarks.retrieval_peers import PgVector, QdrantEdge, timed
from benchmarks.retrieval_world import (
    ANYONE,
    World,
    add_tenant,
    nearest,
    open_world,
    quantiles,
    shared,
)
from tenantry.adapters.sealed.ranked import Search, unit
from tenantry.domain.document import Home

ROWS, DIMENSIONS = 10_000, 1_024
QUERIES = 200
PG_QUERIES = 40  # of them for an engine that takes 10 ms
CACHE_BYTES = 2 * 2**30
WRITTEN, COMMITTED = 100, 256  # documents, and vectors of each
COLD_OPENS = 30
WHALE_DIMENSIONS, WHALE_DOCUMENT, WHALE_QUERIES = 384, 15_625, 100
P50_BAR_MS, P99_BAR_MS, WHALE_BAR_MS, OPEN_BAR_MS = 1.3, 3.0, 35.0, 25.0
PGVECTOR_BAR, QDRANT_BAR, WRITE_BAR = 8.0, 2.0, 20_000.0

Part = Callable[[Database, Path], Awaitable[Measured]]


def measured(rounds: int, real: int, whale: int) -> int:
    figures: dict[str, Any] = {}
    bars: dict[str, Bar] = {}
    with running_databases() as databases:
        made = Clustered(1, DIMENSIONS)
        pair = made.rows(ROWS), made.queries(QUERIES)
        parts: list[Part] = [
            lambda database, folder: beside(database, folder, "clustered", pair, rounds),
            writing,
            opening,
        ]
        if real:
            texts = real_embeddings(real, QUERIES)
            parts.append(lambda d, folder: beside(d, folder, "real", texts, rounds))
        if whale:
            parts.append(lambda database, folder: one_large(database, folder, whale))
        for part in parts:
            found = _with(databases, part)
            print(found.figures, flush=True)
            figures |= found.figures
            bars |= found.bars
    print(result_line("retrieval", figures, bars))
    return 0


def _with(databases: Databases, part: Part) -> Measured:
    database = databases.create()

    async def run() -> Measured:
        with tempfile.TemporaryDirectory(prefix="tenantry-bench-") as folder:
            return await part(database, Path(folder))

    try:
        return uvloop.run(run())
    finally:
        databases.drop(database)


async def beside(
    database: Database, folder: Path, name: str, pair: tuple[F32, F32], rounds: int
) -> Measured:
    """One tenant's partition and two other engines over the same vectors, by turns."""
    vectors, queries = pair
    async with open_world(database.dsn, folder / "accounts", open_bytes_max=CACHE_BYTES) as world:
        home = await add_tenant(database.dsn("superuser"), world, "beside")
        await world.load(home, documents(vectors))
        await world.partitions.settle()
        view = await world.manifest.partition(home.tenant_id)
        peers = await _Peers.open(database, folder, vectors)
        try:
            await world.times_ms(home, queries)  # opens what is to be warm
            exact = await _by_turns(world, home, peers, queries, rounds)
            approximate = await peers.approximate(queries, rounds)
            recalled = await world.recall(home, queries)
            near = nearest(vectors, queries)
            figures = {
                "rows": len(vectors),
                "segments": [row.rows for row in view.segments],
                "recall_stored": recalled,
                "recall_float32": shared(await _rows(world, home, queries), near),
                **exact,
            }
            for engine, (times, found) in approximate.items():
                figures[engine] = quantiles(times) | {
                    "recall_float32": shared(found, near),
                    "build_s": round(peers.built_s[engine], 1),
                }
        finally:
            await peers.close()
    bars = _bars(figures) if name == "clustered" else {}
    return Measured({name: figures}, bars)


def _bars(figures: dict[str, Any]) -> dict[str, Bar]:
    whole = figures["sealed"]
    return {
        "p50_ms_10k_1024": Bar(whole["p50_ms"], P50_BAR_MS),
        "p99_ms_10k_1024": Bar(whole["p99_ms"], P99_BAR_MS),
        "recall_10k": Bar(figures["recall_stored"], 1.0, "at least"),
        "speedup_vs_pgvector_exact": Bar(
            figures["speedup_vs_pgvector_exact"], PGVECTOR_BAR, "at least"
        ),
        "speedup_vs_qdrant_edge_exact": Bar(
            figures["speedup_vs_qdrant_edge_exact"], QDRANT_BAR, "at least"
        ),
    }


async def _by_turns(
    world: World, home: Home, peers: _Peers, queries: F32, rounds: int
) -> dict[str, Any]:
    """Exact searches; ratios are of medians within a round, then the median over rounds."""
    view = await world.manifest.partition(home.tenant_id)
    held = world.partitions._cache._entries
    group = [(row, held[home.tenant_id, row.id].segment) for row in view.segments]
    assert all(segment is not None for _, segment in group), "a segment is not open"

    async def alone(query: Any) -> set[int]:
        found = Search(unit(query), 5, ANYONE).passages(group)  # type: ignore[arg-type]
        return {hit.start for _, hit in found}

    times: dict[str, list[float]] = {
        "sealed": [],
        "sealed_alone": [],
        "pgvector_exact": [],
        "pgvector_exact_tuned": [],
        "qdrant_edge_exact": [],
    }
    ratios: dict[str, list[float]] = {"pgvector": [], "tuned": [], "qdrant": [], "qdrant_whole": []}
    few = queries[:PG_QUERIES]
    for _ in range(rounds):
        sealed = await world.times_ms(home, queries)
        scanned, _found = await timed(alone, queries.tolist())
        pgvector, _found = await timed(peers.pgvector.search, list(peers.units(few)))
        tuned, _found = await timed(peers.pgvector.tuned, list(peers.units(few)))
        qdrant, _found = await timed(peers.qdrant.exact, peers.units(queries).tolist())
        seen = sealed, scanned, pgvector, tuned, qdrant
        for name, found in zip(times, seen, strict=True):
            times[name] += found
        median = statistics.median
        ratios["pgvector"].append(median(pgvector) / median(sealed))
        ratios["tuned"].append(median(tuned) / median(sealed))
        ratios["qdrant"].append(median(qdrant) / median(scanned))
        ratios["qdrant_whole"].append(median(qdrant) / median(sealed))
    figures: dict[str, Any] = {name: quantiles(found) for name, found in times.items()}
    return figures | {
        "speedup_vs_pgvector_exact": round(statistics.median(ratios["pgvector"]), 2),
        "speedup_vs_pgvector_exact_tuned": round(statistics.median(ratios["tuned"]), 2),
        "speedup_vs_qdrant_edge_exact": round(statistics.median(ratios["qdrant"]), 2),
        "speedup_vs_qdrant_edge_exact_with_manifest": round(
            statistics.median(ratios["qdrant_whole"]), 2
        ),
    }


async def _rows(world: World, home: Home, queries: F32) -> list[set[int]]:
    return [
        {hit.start // TEXT_BYTES for hit in await world.search(home, query)}
        for query in queries.tolist()
    ]


class _Peers:
    """The other engines of one run."""

    def __init__(self, pgvector: PgVector, qdrant: QdrantEdge) -> None:
        self.pgvector = pgvector
        self.qdrant = qdrant
        self.built_s: dict[str, float] = {}

    @classmethod
    async def open(cls, database: Database, folder: Path, vectors: F32) -> _Peers:
        pgvector = await PgVector.open(database.dsn("superuser"), vectors)
        return cls(pgvector, QdrantEdge(folder / "qdrant", vectors))

    @staticmethod
    def units(queries: F32) -> F32:
        found: F32 = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        return found

    async def approximate(
        self, queries: F32, rounds: int
    ) -> dict[str, tuple[list[float], list[set[int]]]]:
        """HNSW of both, built first: times over the rounds, rows of the last."""
        await self.pgvector.build_hnsw()
        self.qdrant.build_hnsw()
        self.built_s = {
            "pgvector_hnsw": self.pgvector.build_s,
            "qdrant_edge_hnsw": self.qdrant.build_s,
        }
        units = self.units(queries)
        seen: dict[str, tuple[list[float], list[set[int]]]] = {}
        for _ in range(rounds):
            for name, search, asked in (
                ("pgvector_hnsw", self.pgvector.search, list(units)),
                ("qdrant_edge_hnsw", self.qdrant.approximate, units.tolist()),
            ):
                times, found = await timed(search, asked)
                seen[name] = (seen.get(name, ([], []))[0] + times, found)
        return seen

    async def close(self) -> None:
        self.qdrant.close()
        await self.pgvector.close()


async def writing(database: Database, folder: Path) -> Measured:
    """Documents of 256 vectors: split, sealed, fsynced and committed, one after the other."""
    async with open_world(database.dsn, folder / "accounts", open_bytes_max=CACHE_BYTES) as world:
        home = await add_tenant(database.dsn("superuser"), world, "writing")
        vectors = Clustered(2, DIMENSIONS).rows(WRITTEN * COMMITTED)
        made = list(documents(vectors, chunks=COMMITTED))
        before = world.files.fsyncs.files
        begun = time.perf_counter()
        rows = await world.load(home, made)
        written_s = time.perf_counter() - begun
        fsyncs = world.files.fsyncs.files - before
        await world.partitions.settle()
        settled_s = time.perf_counter() - begun
        assert fsyncs >= len(made), "not every document was made durable"
    rate = round(rows / written_s)
    figures = {
        "vectors_per_s": rate,
        "vectors_per_s_until_merged": round(rows / settled_s),
        "ms_a_commit": round(written_s / len(made) * 1_000, 2),
    }
    bars = {"ingest_vectors_per_s_256": Bar(rate, WRITE_BAR, "at least")}
    return Measured({"writing": figures}, bars)


async def opening(database: Database, folder: Path) -> Measured:
    """First searches: nothing open here, and then also nothing in the kernel's memory."""
    async with open_world(database.dsn, folder / "accounts", open_bytes_max=CACHE_BYTES) as world:
        home = await add_tenant(database.dsn("superuser"), world, "opening")
        made = Clustered(3, DIMENSIONS)
        await world.load(home, documents(made.rows(ROWS), chunks=ROWS))
        view = await world.manifest.partition(home.tenant_id)
        names = [row.id for row in view.segments]
        times: dict[str, list[float]] = {"cached_file": [], "cold_file": []}
        for query in made.queries(COLD_OPENS).tolist():
            for name, found in times.items():
                world.partitions.forget(home.tenant_id)
                if name == "cold_file":
                    world.forget_file_pages(home, names)
                begun = time.perf_counter()
                await world.search(home, query)
                found.append((time.perf_counter() - begun) * 1_000)
    figures = {name: quantiles(found) for name, found in times.items()}
    bars = {"cold_open_10k_p50_ms": Bar(figures["cold_file"]["p50_ms"], OPEN_BAR_MS)}
    return Measured({"opening": figures}, bars)


async def one_large(database: Database, folder: Path, rows: int) -> Measured:
    """One tenant with very many passages."""
    async with open_world(database.dsn, folder / "accounts", open_bytes_max=CACHE_BYTES) as world:
        home = await add_tenant(database.dsn("superuser"), world, "large")
        made = Clustered(4, WHALE_DIMENSIONS, clusters=20_000)
        begun = time.perf_counter()
        for part in range(max(1, rows // WHALE_DOCUMENT)):
            vectors = await asyncio.to_thread(made.rows, min(rows, WHALE_DOCUMENT), part)
            await world.load(home, documents(vectors, f"part{part}", chunks=len(vectors)))
        loaded_s = time.perf_counter() - begun
        queries = made.queries(WHALE_QUERIES)
        await world.times_ms(home, queries[:10])
        figures = quantiles(await world.times_ms(home, queries)) | {
            "rows": rows,
            "loaded_s": round(loaded_s, 1),
            "recall_stored": await world.recall(home, queries[:5]),
        }
    bars = {"whale_1m_384_p50_ms": Bar(figures["p50_ms"], WHALE_BAR_MS)}
    return Measured({"one_large_tenant": figures}, bars)
