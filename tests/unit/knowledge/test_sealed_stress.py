"""Two processes, many tasks, a cache for one segment: searches see whole passages, no ghosts."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.support import knowledge as support

from tenantry.adapters.sealed.segment_cache import SegmentCache
from tenantry.application.tending import sweep_orphans
from tenantry.domain.errors import Unavailable
from tenantry.ports.objects import ObjectKind
from tenantry.ports.vectors import Query

TENANTS = [support.tenant("tnt_a"), support.tenant("tnt_b", silo=True)]


class Model:
    """What must be found: documents published and not being removed. And what must not: `gone`."""

    def __init__(self) -> None:
        self.live: dict[str, set[str]] = {owner.id: set() for owner in TENANTS}
        self.leaving: set[str] = set()
        self.gone: set[str] = set()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_under_concurrency_nothing_is_lost_torn_or_foreign(tmp_path: Path, seed: int) -> None:
    async def run() -> None:
        own, manifest, model = support.parts(tmp_path), support.MemoryManifest(), Model()
        for owner in TENANTS:
            await own.keys.create(support.home(owner))
        processes = [
            support.partitions(own, manifest, open_bytes_max=3_000, segments_max=3)
            for _ in range(2)
        ]
        workers = [
            _work(random.Random(f"{seed} {n}"), n, processes[n % 2], manifest, model)
            for n in range(6)
        ]
        await asyncio.gather(*workers)
        for process in processes:
            await process.settle()
        for owner in TENANTS:
            home = support.home(owner)
            for process in processes:
                assert set(await process.cards(home, frozenset(model.live[owner.id]))) == set(
                    model.live[owner.id]
                )
            await sweep_orphans(home, own.objects, manifest, support.ours, age_s=0.0)
            stored = await own.objects.list(home, ObjectKind.SEGMENT)
            assert {item.object_id for item in stored} <= await manifest.objects(home.tenant_id)
        for process in processes:
            process.close()
            assert process.open_bytes == 0

    asyncio.run(run())


async def _work(rng: random.Random, worker: int, process, manifest, model: Model) -> None:
    for step in range(25):
        owner = rng.choice(TENANTS)
        home, live = support.home(owner), model.live[owner.id]
        action = rng.random()
        if action < 0.35:
            name = f"doc_{worker}_{step}"
            await manifest.insert(owner.id, support.row(name), support.UNLIMITED, 60.0)
            texts = [f"of {owner.id} {name} part{part}" for part in range(rng.randint(1, 4))]
            assert await process.publish(home, support.embedded(name, texts))
            live.add(name)
        elif action < 0.5 and live:
            name = rng.choice(sorted(live))
            live.discard(name)
            model.leaving.add(name)
            await process.remove(home, name)
            model.gone.add(name)
        else:
            await _search(rng, process, home, live, model)


async def _search(rng: random.Random, process, home, live: set[str], model: Model) -> None:
    gone_before, leaving_before = set(model.gone), set(model.leaving)
    wanted = rng.choice(sorted(live)) if live else "doc_none"
    vector = support.vector_of(f"of {home.tenant_id} {wanted} part0")
    hits = await process.search(home, support.MODEL, Query(vector), 50, lambda card: True)
    for hit in hits:
        assert hit.text.startswith(f"of {home.tenant_id} {hit.document_id} part")
    assert not gone_before & {hit.document_id for hit in hits}
    if wanted in live and wanted not in model.leaving - leaving_before:
        assert wanted in {hit.document_id for hit in hits}


def test_a_pinned_segment_is_not_wiped_and_a_dropped_one_is(tmp_path: Path) -> None:
    async def run() -> None:
        own, manifest = support.parts(tmp_path), support.MemoryManifest()
        home = support.home(TENANTS[0])
        await own.keys.create(home)
        process = support.partitions(own, manifest)
        await manifest.insert(TENANTS[0].id, support.row("doc_1"), support.UNLIMITED, 60.0)
        await process.publish(home, support.embedded("doc_1", ["words"]))
        (row,) = (await manifest.partition(TENANTS[0].id)).segments
        cache = SegmentCache(bytes_max=1)

        async def opener() -> object:
            return await process._store.open(home, row)

        async with cache.pinned({("tnt_a", "seg_1"): opener}) as (segment,):
            cache.drop("tnt_a")
            assert segment.passages([0]) == [(0, 5, "words")] and segment.high.any()
        assert not segment.high.any() and not segment.catalogue.cards.any()
        assert (len(cache), cache.size_bytes) == (0, 0)
        process.close()

        async def broken() -> object:
            raise ValueError("no")

        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                async with cache.pinned({("tnt_a", "seg_2"): broken}):
                    raise AssertionError
        await asyncio.sleep(0)
        assert len(cache) == 0

    asyncio.run(run())


def test_half_written_files_are_swept(tmp_path: Path) -> None:
    async def run() -> None:
        own, manifest = support.parts(tmp_path), support.MemoryManifest()
        home = support.home(TENANTS[0])
        await own.objects.put(home, ObjectKind.ORIGINAL, "orphan", b"x")
        (folder,) = await asyncio.to_thread(lambda: list(tmp_path.glob("accounts/*/objects/*/*")))
        (folder / ".tmp-abc").write_bytes(b"half")
        assert await sweep_orphans(home, own.objects, manifest, support.ours) == 0
        assert await sweep_orphans(home, own.objects, manifest, support.ours, age_s=0.0) == 2
        assert await own.objects.list(home, ObjectKind.ORIGINAL) == []

    asyncio.run(run())


class _Restless:
    """A manifest that has changed by the time that its answer is read."""

    def __init__(self, manifest: support.MemoryManifest, change) -> None:
        self._manifest = manifest
        self._change = change

    def __getattr__(self, name: str) -> object:
        return getattr(self._manifest, name)

    async def partition(self, tenant_id: str, *edition: object) -> object:
        view = await self._manifest.partition(tenant_id, *edition)
        await self._change()
        return view


def test_a_search_is_answered_however_fast_its_tenant_writes(tmp_path: Path) -> None:
    async def run() -> None:
        own, manifest = support.parts(tmp_path), support.MemoryManifest()
        owner, names = TENANTS[0], iter(range(1_000))
        home = support.home(owner)
        await own.keys.create(home)
        writer = support.partitions(own, manifest, segments_max=2)

        async def publish() -> str:
            name = f"doc_{next(names)}"
            await manifest.insert(owner.id, support.row(name), support.UNLIMITED, 60.0)
            assert await writer.publish(home, support.embedded(name, ["words"]))
            return name

        kept = await publish()
        leaving = [await publish() for _ in range(5)]

        async def change() -> None:
            leaving.append(await publish())
            await writer.remove(home, leaving.pop(0))
            await asyncio.wait([writer._upkeep._merger])  # what was merged is replaced

        reader = support.partitions(own, _Restless(manifest, change), open_bytes_max=1)
        for _ in range(8):
            vector = support.vector_of("words")
            hits = await reader.search(home, support.MODEL, Query(vector), 50, lambda card: True)
            assert kept in {hit.document_id for hit in hits}
        await writer.settle()
        stored = {item.object_id for item in await own.objects.list(home, ObjectKind.SEGMENT)}
        assert stored <= await manifest.objects(owner.id)
        for process in (reader, writer):
            process.close()

    asyncio.run(run())


def test_what_is_open_serves_only_as_long_as_the_tenant_key(tmp_path: Path) -> None:
    async def run() -> None:
        own, manifest = support.parts(tmp_path), support.MemoryManifest()
        home = support.home(TENANTS[0])
        await own.keys.create(home)
        process = support.partitions(own, manifest)
        await manifest.insert(TENANTS[0].id, support.row("doc_1"), support.UNLIMITED, 60.0)
        await process.publish(home, support.embedded("doc_1", ["words"]))
        query = Query(support.vector_of("words"))
        assert len(await process.search(home, support.MODEL, query, 5, lambda card: True)) == 1
        await own.keys.destroy(home)
        with pytest.raises(Unavailable):
            await process.search(home, support.MODEL, query, 5, lambda card: True)
        assert process.open_bytes == 0
        process.close()

    asyncio.run(run())
