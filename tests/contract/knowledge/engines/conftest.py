"""Engines that live as long as a module's tests; every test has tenants of its own in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import engines
from tests.support.opensearch_stand_in import OpenSearchStandIn, opensearch_stand_in
from tests.support.pinecone_stand_in import PineconeStandIn, pinecone_stand_in
from tests.support.postgres import Database
from tests.support.weaviate_stand_in import WeaviateStandIn, weaviate_stand_in

Played = Callable[[Callable[[engines.Scene], object]], None]


@pytest.fixture(scope="module")
def pgvector_database(module_database: Database) -> Database:
    asyncio.run(engines.prepare(module_database))
    return module_database


@pytest.fixture(scope="module")
def opensearch_server() -> Iterator[OpenSearchStandIn]:
    with opensearch_stand_in() as running:
        yield running


@pytest.fixture(scope="module")
def pinecone_server() -> Iterator[PineconeStandIn]:
    with pinecone_stand_in() as running:
        yield running


@pytest.fixture(scope="module")
def weaviate_server() -> Iterator[WeaviateStandIn]:
    with weaviate_stand_in() as running:
        yield running


@pytest.fixture
def engine_opener(request: pytest.FixtureRequest) -> Callable[[str], engines.OpenEngine | None]:
    """How a process opens the engine of this name; None for sealed partitions."""

    def opener(name: str) -> engines.OpenEngine | None:
        if name == "sealed":
            return None
        if name == "opensearch":
            server: OpenSearchStandIn = request.getfixturevalue("opensearch_server")
            return lambda: engines.opensearch_at(server.url)
        if name == "pinecone":
            held: PineconeStandIn = request.getfixturevalue("pinecone_server")
            return lambda: engines.pinecone_at(held.url)
        if name == "weaviate":
            kept: WeaviateStandIn = request.getfixturevalue("weaviate_server")
            return lambda: engines.weaviate_at(kept.url, kept.grpc_url)
        database = request.getfixturevalue("pgvector_database")
        return lambda: engines.pgvector_at(database, indexed=name == "pgvector-hnsw")

    return opener


@pytest.fixture
def played(
    engine_opener: Callable[[str], engines.OpenEngine | None],
    engine: str,
    tmp_path: Path,
) -> Played:
    """Plays a scene in a fresh world over the engine of the test's parameter."""

    opener = engine_opener(engine)

    async def main(scene: Callable[[engines.Scene], object]) -> None:
        async with engines.scene_of(tmp_path, opener) as world:
            await scene(world)

    return lambda scene: asyncio.run(main(scene))


@pytest.fixture
def down(engine: str, monkeypatch: pytest.MonkeyPatch) -> engines.OpenEngine:
    """Opens an engine whose server is not there."""
    if engine == "pinecone":  # its client tries four times, and no setting of it says how fast
        monkeypatch.setattr("pinecone._internal.http_client._compute_backoff", lambda *_: 0.0)
    return lambda: engines.engine_down(engine)
