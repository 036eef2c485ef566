"""Seal, append, search, delete, merge: over real files and keys, and a manifest in memory."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.support import knowledge as support
from tests.support.vectors import values

from tenantry.adapters.sealed.kernel import split
from tenantry.domain.document import Card
from tenantry.domain.errors import Conflict, Corrupt, Unavailable
from tenantry.ports.objects import ObjectKind
from tenantry.ports.vectors import Query

A, B = support.tenant("tnt_a"), support.tenant("tnt_b", silo=True)
HOME_A, HOME_B = support.home(A), support.home(B)


def anyone(card: Card) -> bool:
    return True


async def published(
    partitions: object, manifest: support.MemoryManifest, home: object, name: str, *texts: str
) -> None:
    await manifest.insert(home.tenant_id, support.row(name), support.UNLIMITED, support.LEASE_S)
    assert await partitions.publish(home, support.embedded(name, texts))


async def found(partitions: object, home: object, text: str, top_k: int = 5) -> list[str]:
    vector = support.vector_of(text)
    hits = await partitions.search(home, support.MODEL, Query(vector), top_k, anyone)
    return [hit.text for hit in hits]


@pytest.fixture
def own(tmp_path: Path) -> support.Parts:
    return support.parts(tmp_path)


async def _keys(own: support.Parts) -> None:
    await own.keys.create(HOME_A)
    await own.keys.create(HOME_B)


def test_each_tenant_finds_its_own_and_nothing_else(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest)
        await published(partitions, manifest, HOME_A, "doc_1", "apples are red", "pears are green")
        await published(partitions, manifest, HOME_B, "doc_2", "apples are blue")
        assert await found(partitions, HOME_A, "red apples", 1) == ["apples are red"]
        assert await found(partitions, HOME_B, "red apples", 9) == ["apples are blue"]
        assert set(await partitions.cards(HOME_A, frozenset({"doc_1", "doc_2"}))) == {"doc_1"}
        partitions.close()

    asyncio.run(run())


def test_a_hit_says_where_it_stands(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest)
        await published(partitions, manifest, HOME_A, "doc_1", "über alles", "pears grow")
        vector = support.vector_of("pears grow")
        (hit,) = await partitions.search(HOME_A, support.MODEL, Query(vector), 1, anyone)
        assert (hit.document_id, hit.title) == ("doc_1", "Title of doc_1")
        assert (hit.start, hit.end, hit.text) == (11, 21, "pears grow")
        assert hit.score == pytest.approx(1.0, abs=1e-3)
        partitions.close()

    asyncio.run(run())


def test_a_removed_document_is_gone_for_every_process(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        here, there = support.partitions(own, manifest), support.partitions(own, manifest)
        await published(here, manifest, HOME_A, "doc_1", "apples are red")
        assert await found(there, HOME_A, "apples") == ["apples are red"]
        await published(there, manifest, HOME_A, "doc_2", "apples are ripe")
        assert len(await found(here, HOME_A, "apples")) == 2
        assert await here.remove(HOME_A, "doc_1") is not None
        assert await here.remove(HOME_A, "doc_1") is None
        assert await found(there, HOME_A, "apples") == ["apples are ripe"]
        await here.settle()
        assert len(await own.objects.list(HOME_A, ObjectKind.SEGMENT)) == 1
        here.close()
        there.close()

    asyncio.run(run())


def test_a_generation_that_was_read_before_the_search_is_not_read_again(own: support.Parts) -> None:
    """It dates from after the question; where its segments are gone meanwhile, it is read anew."""

    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        here, there = support.partitions(own, manifest), support.partitions(own, manifest)

        async def seen(generation: int) -> list[str]:
            asked = Query(support.vector_of("apples"), "", generation)
            hits = await there.search(HOME_A, support.MODEL, asked, 9, anyone)
            return sorted(hit.text for hit in hits)

        await published(here, manifest, HOME_A, "doc_1", "apples are red")
        first = await manifest.generation(A.id)
        assert await seen(first) == ["apples are red"]
        await published(here, manifest, HOME_A, "doc_2", "apples are ripe")
        assert await seen(first) == ["apples are red"]
        assert await seen(await manifest.generation(A.id)) == ["apples are red", "apples are ripe"]
        assert await here.remove(HOME_A, "doc_1") is not None
        await here.settle()
        there._cache.drop(A.id)  # as where others needed the room
        assert await seen(first) == ["apples are ripe"]
        here.close()
        there.close()

    asyncio.run(run())


def test_many_small_segments_become_few_and_nothing_is_lost(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest, segments_max=4)
        for number in range(23):
            await published(
                partitions, manifest, HOME_A, f"doc_{number:02}", f"word{number} common", "other"
            )
            if number % 5 == 0:
                await partitions.remove(HOME_A, f"doc_{number:02}")
        await partitions.settle()
        view = await manifest.partition(HOME_A.tenant_id)
        assert len(view.segments) <= 4
        for number in range(23):
            expected = [] if number % 5 == 0 else [f"word{number} common"]
            best = await found(partitions, HOME_A, f"word{number} common", 1)
            assert (best == expected) if expected else (best != [f"word{number} common"])
        stored = {item.object_id for item in await own.objects.list(HOME_A, ObjectKind.SEGMENT)}
        assert stored == {item.id for item in view.segments}
        partitions.close()

    asyncio.run(run())


def test_search_is_exact(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest)
        rng = np.random.default_rng(7)
        centre = rng.standard_normal(64)
        vectors = (centre + 0.05 * rng.standard_normal((3_000, 64))).astype(np.float32)
        document = support.embedded("doc_1", [f"passage {n}" for n in range(3_000)])
        document = type(document)(
            document.document_id, document.card, document.model, document.chunks, vectors.tolist()
        )
        await manifest.insert(A.id, support.row("doc_1"), support.UNLIMITED, support.LEASE_S)
        await partitions.publish(HOME_A, document)
        stored = values(split(vectors))
        for _ in range(20):
            query = centre + 0.05 * rng.standard_normal(64)
            unit = (query / np.linalg.norm(query)).astype(np.float32).astype(np.float64)
            truth = np.sort(stored @ unit)[::-1][:10]
            hits = await partitions.search(HOME_A, support.MODEL, Query(query.tolist()), 10, anyone)
            assert [hit.score for hit in hits] == pytest.approx(truth.tolist(), abs=1e-12)
        partitions.close()

    asyncio.run(run())


def test_what_is_not_permitted_is_never_among_the_top(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest)
        for name, access in (("doc_1", {"hr"}), ("doc_2", set())):
            await manifest.insert(A.id, support.row(name), support.UNLIMITED, support.LEASE_S)
            document = support.embedded(name, [f"apples {name}"], access=frozenset(access))
            await partitions.publish(HOME_A, document)
        vector = support.vector_of("apples doc_1")
        hits = await partitions.search(
            HOME_A, support.MODEL, Query(vector), 5, lambda card: not card.access
        )
        assert [hit.document_id for hit in hits] == ["doc_2"]
        partitions.close()

    asyncio.run(run())


def test_another_model_or_length_is_refused_not_compared(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest)
        await published(partitions, manifest, HOME_A, "doc_1", "apples")
        with pytest.raises(Conflict):
            await partitions.search(HOME_A, "another", Query(support.vector_of("x")), 1, anyone)
        with pytest.raises(Conflict):
            await partitions.search(HOME_A, support.MODEL, Query([1.0, 2.0]), 1, anyone)
        partitions.close()

    asyncio.run(run())


def test_segments_swapped_between_tenants_or_names_do_not_open(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        writer = support.partitions(own, manifest)
        await published(writer, manifest, HOME_A, "doc_1", "secret of a")
        await published(writer, manifest, HOME_A, "doc_3", "another of a")
        await published(writer, manifest, HOME_B, "doc_2", "secret of b")
        first, second = sorted(
            (own.root / "accounts" / HOME_A.account).glob("objects/*/segments/*")
        )
        (foreign,) = (own.root / "accounts" / HOME_B.account).glob("objects/*/segments/*")
        original = first.read_bytes()
        for swapped in (foreign.read_bytes(), second.read_bytes()):
            first.write_bytes(swapped)
            reader = support.partitions(own, manifest)
            with pytest.raises(Corrupt):
                await found(reader, HOME_A, "secret")
            reader.close()
        for position in (0, 5, 9, 20, len(original) // 2, len(original) - 1):
            changed = bytearray(original)
            changed[position] ^= 1
            first.write_bytes(changed)
            reader = support.partitions(own, manifest)
            with pytest.raises((Corrupt, Unavailable)):
                await found(reader, HOME_A, "secret")
            reader.close()
        writer.close()

    asyncio.run(run())


def test_open_memory_is_bounded_and_zeroed(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest, open_bytes_max=12_000)
        for number in range(6):
            await published(partitions, manifest, HOME_A, f"doc_{number}", f"word{number}")
        for number in range(6):
            assert await found(partitions, HOME_A, f"word{number}", 1) == [f"word{number}"]
            assert partitions.open_bytes <= 12_000
        held = [entry.segment for entry in partitions._cache._entries.values()]
        partitions.close()
        assert held and all(not item.high.any() and not item.catalogue.cards.any() for item in held)

    asyncio.run(run())


def test_a_missing_segment_fails_closed_and_the_log_names_it(
    own: support.Parts, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest)
        await published(partitions, manifest, HOME_A, "doc_1", "apples")
        await published(partitions, manifest, HOME_B, "doc_2", "pears")
        (gone,) = own.root.glob(f"accounts/{HOME_A.account}/objects/*/segments/*")
        gone.unlink()
        with pytest.raises(Unavailable) as refused:
            await found(partitions, HOME_A, "apples")
        assert await found(partitions, HOME_B, "pears") == ["pears"]
        partitions.close()
        (line,) = [each.getMessage() for each in caplog.records if "missing" in each.getMessage()]
        assert line == f"a segment of {HOME_A.tenant_id} is missing: {gone.name}"
        assert gone.name not in refused.value.message

    asyncio.run(run())


def test_a_partition_larger_than_the_cache_is_searched_exactly(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        # A quarter of this holds one of eight segments at most.
        partitions = support.partitions(own, manifest, open_bytes_max=80_000, segments_max=50)
        rng = np.random.default_rng(11)
        vectors = rng.standard_normal((8, 90, support.DIMENSIONS)).astype(np.float32)
        for number, rows in enumerate(vectors):
            name = f"doc_{number}"
            document = support.embedded(name, [f"{name} passage {row}" for row in range(90)])
            document = dataclasses.replace(document, vectors=rows.tolist())
            await manifest.insert(A.id, support.row(name), support.UNLIMITED, support.LEASE_S)
            assert await partitions.publish(HOME_A, document)
        stored = values(split(vectors.reshape(-1, support.DIMENSIONS)))
        for _ in range(10):
            query = rng.standard_normal(support.DIMENSIONS)
            looked_for = (query / np.linalg.norm(query)).astype(np.float32).astype(np.float64)
            truth = np.sort(stored @ looked_for)[::-1][:7]
            hits = await partitions.search(HOME_A, support.MODEL, Query(query.tolist()), 7, anyone)
            assert [hit.score for hit in hits] == pytest.approx(truth.tolist(), abs=1e-12)
            assert partitions.open_bytes <= 80_000
        partitions.close()

    asyncio.run(run())


def test_an_upload_does_not_wait_for_merges_and_survives_a_failed_one(own: support.Parts) -> None:
    async def run() -> None:
        await _keys(own)
        manifest = support.MemoryManifest()
        partitions = support.partitions(own, manifest, segments_max=2)
        for number in range(2):
            await published(partitions, manifest, HOME_A, f"doc_{number}", f"word{number}")
        (first, *_) = sorted((own.root / "accounts").glob("*/objects/*/segments/*"))
        whole = first.read_bytes()
        first.write_bytes(whole[:-1])
        await published(partitions, manifest, HOME_A, "doc_2", "word2")
        assert len((await manifest.partition(A.id)).segments) == 3
        await partitions.settle()
        assert len((await manifest.partition(A.id)).segments) == 3
        first.write_bytes(whole)
        await published(partitions, manifest, HOME_A, "doc_3", "word3")
        assert len((await manifest.partition(A.id)).segments) == 4
        await partitions.settle()
        assert len((await manifest.partition(A.id)).segments) <= 2
        for number in range(4):
            assert await found(partitions, HOME_A, f"word{number}", 1) == [f"word{number}"]
        partitions.close()

    asyncio.run(run())
