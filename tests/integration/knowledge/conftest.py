"""Fixtures of tests about reindexes over PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import knowledge as support
from tests.support.postgres import Database
from tests.support.reindexes import A, B, Scene, process


@pytest.fixture
def played(database: Database, tmp_path: Path) -> Callable[[Scene], None]:
    """Runs a scene in one worker's process, over two tenants."""

    async def run(scene: Scene) -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as one:
            await scene(one)

    return lambda scene: asyncio.run(run(scene))
