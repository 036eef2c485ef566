"""Fixtures of tests about documents in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.documents import Scene, World


@pytest.fixture
def played(tmp_path: Path) -> Callable[[Scene], None]:
    """Runs a scene in a world of its own, which ends with it."""

    def play(scene: Scene) -> None:
        async def run() -> None:
            world = World(tmp_path)
            try:
                await scene(world)
            finally:
                await world.deps.tasks.close()
                world.partitions.close()

        asyncio.run(run())

    return play
