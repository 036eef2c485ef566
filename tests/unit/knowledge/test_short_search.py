"""Short searches are done on the event loop, all others in a thread; what is found is the same."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support

from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.sealed import certified, ranked, short_search
from tenantry.adapters.sealed.partitions import SealedPartitions
from tenantry.adapters.sealed.short_search import CANDIDATES_MAX
from tenantry.domain.access import Permission
from tenantry.domain.document import Home
from tenantry.domain.filter import filter_from
from tenantry.ports.objects import ObjectKind, Range, WouldWait
from tenantry.ports.vectors import Permitted, Query

A, B = support.home(support.tenant("tnt_a")), support.home(support.tenant("tnt_b", silo=True))
EVERYONE = Permission(frozenset())


class WatchedObjects(DiskObjects):
    """Tells for each read of ranges whether it was in the loop's thread. `cold`: this machine's
    memory has none of them; else it has all, which a file system in memory could not tell."""

    def __init__(self, accounts: Path, files: object, *, cold: bool = False) -> None:
        super().__init__(accounts, files)  # type: ignore[arg-type]
        self._cold = cold
        self._loop_thread = threading.get_ident()
        self.on_loop: list[bool] = []

    def get_ranges(
        self,
        home: Home,
        kind: ObjectKind,
        object_id: str,
        ranges: Sequence[Range],
        *,
        wait: bool = True,
    ) -> Sequence[bytes]:
        here = threading.get_ident() == self._loop_thread
        assert wait or here, "a thread may wait"
        assert not (wait and here), "the loop waits for a disk"
        self.on_loop.append(here)
        if self._cold and not wait:
            raise WouldWait
        return super().get_ranges(home, kind, object_id, ranges)


async def world(
    own: support.Parts, objects: WatchedObjects
) -> tuple[SealedPartitions, support.MemoryManifest]:
    """Two tenants with a document each that the other's words would find."""
    manifest = support.MemoryManifest()
    partitions = SealedPartitions(manifest, objects, own.keys, own.clock)  # type: ignore[arg-type]
    for home, name, text in ((A, "doc_1", "apples are red"), (B, "doc_2", "apples are blue")):
        await own.keys.create(home)
        await manifest.insert(home.tenant_id, support.row(name), support.UNLIMITED, support.LEASE_S)
        assert await partitions.publish(
            home, support.embedded(name, (text,), metadata={"kind": "fruit"})
        )
    return partitions, manifest


async def found(
    partitions: SealedPartitions, home: Home, permitted: Permitted = EVERYONE
) -> list[str]:
    query = Query(support.vector_of("apples"), "apples")
    hits = await partitions.search(home, support.MODEL, query, 5, permitted)
    return [hit.text for hit in hits]


@pytest.mark.parametrize("cold", [False, True])
def test_the_second_search_reads_on_the_loop_unless_the_disk_is_needed(
    tmp_path: Path, cold: bool
) -> None:
    own = support.parts(tmp_path)

    async def run() -> None:
        objects = WatchedObjects(tmp_path / "accounts", own.files, cold=cold)
        partitions, _ = await world(own, objects)
        for home, text in ((A, "apples are red"), (B, "apples are blue")):
            assert await found(partitions, home) == [text]  # opened, and its cards decoded
            assert objects.on_loop and not any(objects.on_loop)
            objects.on_loop.clear()
            assert await found(partitions, home) == [text]
            assert objects.on_loop[0], "it is tried on the loop"
            assert all(objects.on_loop) is not cold
            objects.on_loop.clear()
        partitions.close()

    asyncio.run(run())


def test_what_goes_on_in_a_thread_is_not_scanned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = support.parts(tmp_path)
    scans: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        scans.append(threading.get_ident())
        return certified.scanned(*arguments, **options)

    monkeypatch.setattr(ranked, "scanned", counted)

    async def run() -> None:
        objects = WatchedObjects(tmp_path / "accounts", own.files, cold=True)
        partitions, _ = await world(own, objects)
        for home, text in ((A, "apples are red"), (B, "apples are blue")):
            await found(partitions, home)
            scans.clear()
            assert await found(partitions, home) == [text]
            assert scans == [threading.get_ident()], "once, on the loop"
        partitions.close()

    asyncio.run(run())


def test_a_filter_goes_to_a_thread(tmp_path: Path) -> None:
    own = support.parts(tmp_path)

    async def run() -> None:
        objects = WatchedObjects(tmp_path / "accounts", own.files)
        partitions, _ = await world(own, objects)
        await found(partitions, A)
        objects.on_loop.clear()
        where = Permission(frozenset(), filter_from({"kind": "fruit"}))
        assert await found(partitions, A, where) == ["apples are red"]
        assert objects.on_loop and not any(objects.on_loop)
        partitions.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("bound", "least"),
    [  # of one document of one passage, in whose words one of the query's stands
        ("SCAN_BYTES_MAX", len(support.vector_of(""))),
        ("POSTINGS_MAX", 1),
        ("DOCUMENTS_MAX", 1),
        ("TAG_SETS_MAX", 1),
        ("SEGMENTS_MAX", 1),
    ],
)
def test_what_is_over_a_bound_goes_to_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, least: int
) -> None:
    own = support.parts(tmp_path)

    async def run() -> None:
        objects = WatchedObjects(tmp_path / "accounts", own.files)
        partitions, _ = await world(own, objects)
        await found(partitions, A)
        for most, on_loop in ((least, True), (least - 1, False)):
            objects.on_loop.clear()
            monkeypatch.setattr(short_search, bound, most)
            assert await found(partitions, A) == ["apples are red"]
            assert set(objects.on_loop) == {on_loop}
        partitions.close()

    asyncio.run(run())


def test_passages_that_are_alike_are_told_apart_in_a_thread(tmp_path: Path) -> None:
    """Each of them must be scored exactly: their number shows only after the scan."""
    own = support.parts(tmp_path)
    texts = [f"apples {number}" for number in range(CANDIDATES_MAX + 20)]

    async def run() -> None:
        objects = WatchedObjects(tmp_path / "accounts", own.files)
        partitions, manifest = await world(own, objects)
        embedded = support.embedded("doc_3", texts)
        alike = dataclasses.replace(embedded, vectors=[support.vector_of("apples")] * len(texts))
        await manifest.insert(A.tenant_id, support.row("doc_3"), support.UNLIMITED, support.LEASE_S)
        assert await partitions.publish(A, alike)
        first = await found(partitions, A)
        objects.on_loop.clear()
        assert await found(partitions, A) == first
        assert objects.on_loop[0], "it is tried on the loop"
        assert not any(objects.on_loop[1:])
        assert await found(partitions, B) == ["apples are blue"]
        partitions.close()

    asyncio.run(run())


def test_a_search_on_the_loop_obeys_tags(tmp_path: Path) -> None:
    own = support.parts(tmp_path)

    async def run() -> None:
        objects = WatchedObjects(tmp_path / "accounts", own.files)
        partitions, manifest = await world(own, objects)
        secret = support.embedded("doc_3", ("apples are secret",), access=frozenset({"board"}))
        await manifest.insert(A.tenant_id, support.row("doc_3"), support.UNLIMITED, support.LEASE_S)
        assert await partitions.publish(A, secret)
        board = Permission(frozenset({"board"}))
        for _ in range(2):
            assert await found(partitions, A) == ["apples are red"]
            assert sorted(await found(partitions, A, board)) == [
                "apples are red",
                "apples are secret",
            ]
        assert objects.on_loop[-1], "the last one was on the loop"
        partitions.close()

    asyncio.run(run())
