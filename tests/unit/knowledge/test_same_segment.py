"""Segments of the same id in two tenants: ids are random, and nothing relies on that alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.support import knowledge as support

from tenantry.domain.document import Card
from tenantry.ports.vectors import Query

HOMES = {name: support.home(support.tenant(f"tnt_{name}")) for name in "ab"}
TEXTS: Mapping[str, str] = {"a": "apples are red", "b": "apples are blue"}


class SameClock(support.RealClock):
    """Draws the same again and again."""

    def random(self, count: int) -> bytes:
        return b"r" * count


def anyone(card: Card) -> bool:
    return True


def test_each_tenant_opens_its_own_of_two_segments_of_one_id(tmp_path: Path) -> None:
    async def run() -> None:
        own = support.parts(tmp_path)
        own.clock = SameClock()
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest)
        for name, home in HOMES.items():
            await own.keys.create(home)
            row = support.row("doc_1")
            await manifest.insert(home.tenant_id, row, support.UNLIMITED, support.LEASE_S)
            assert await partitions.publish(home, support.embedded("doc_1", [TEXTS[name]]))
        views = [await manifest.partition(home.tenant_id) for home in HOMES.values()]
        assert len({row.id for view in views for row in view.segments}) == 1
        for _ in range(2):  # opened, and then from what is open
            for name, home in HOMES.items():
                query = Query(support.vector_of("apples"))
                hits = await partitions.search(home, support.MODEL, query, 5, anyone)
                assert [hit.text for hit in hits] == [TEXTS[name]]
        partitions.close()

    asyncio.run(run())
