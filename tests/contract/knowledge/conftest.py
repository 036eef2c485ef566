"""Engines that live as long as a module's tests; every test has tenants of its own in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import engines
from tests.support.postgres import Database

Played = Callable[[Callable[[engines.Scene], object]], None]


@pytest.fixture(scope="module")
def pgvector_database(module_database: Database) -> Database:
    asyncio.run(engines.prepare(module_database))
    return module_database


@pytest.fixture
def engine_opener(request: pytest.FixtureRequest) -> Callable[[str], engines.OpenEngine | None]:
    """How a process opens the engine of this name; None for sealed partitions."""

    def opener(name: str) -> engines.OpenEngine | None:
        if name == "sealed":
            return None
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
def down(engine: str) -> engines.OpenEngine:
    """Opens an engine whose server is not there."""
    return lambda: engines.engine_down(engine)
