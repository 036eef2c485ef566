"""What is said of documents has bounds: a card's, the plan's, a page's, and open memory's."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.documents import ALICE, BOB, Scene, World, text

from tenantry.adapters.sealed.partitions import SEARCHES_AT_ONCE
from tenantry.adapters.vectors.card_cache import CardCache
from tenantry.application import documents, ingestion
from tenantry.domain.access import Permission
from tenantry.domain.document import Card
from tenantry.domain.errors import BadRequest, QuotaExceeded
from tenantry.domain.ids import DocumentId, SegmentId
from tenantry.domain.original import card_bytes
from tenantry.domain.upload import CARD_BYTES_MAX, Upload, upload_from_file, upload_from_text
from tenantry.ports.vectors import Query

A, B = support.tenant("tnt_a"), support.tenant("tnt_b", silo=True)
EVERYBODY = Permission(frozenset())


def metadata(characters: int, of: str = "x") -> dict[str, Any]:
    """As many characters in texts of the longest that are taken."""
    full, rest = divmod(characters, 1_000)
    texts = [of * 1_000] * full + ([of * rest] if rest else [])
    return {f"k{n}": texts[n : n + 32] for n in range(0, len(texts), 32)}


def heavy(title: str, body: str, card_mb: float) -> Upload:
    """As it could be uploaded before cards had a bound."""
    upload = text(title, body)
    card = dataclasses.replace(upload.card, metadata={"k": "x" * int(card_mb * 1_000_000)})
    return Upload(card, upload.data)


def test_a_card_is_as_large_as_the_bound_and_no_larger() -> None:
    def size(**more: Any) -> int:
        return card_bytes(upload_from_text({"title": "T", "text": "x", **more}).card)

    bare = size(metadata={"k": ""})
    room = CARD_BYTES_MAX - bare
    filled = metadata(room - 200) | {"k": ""}
    left = CARD_BYTES_MAX - size(metadata=filled)
    filled["k"] = "y" * left
    assert size(metadata=filled) == CARD_BYTES_MAX
    filled["k"] += "y"
    tags = [f"{n:03}" + "\U00020000" * 125 for n in range(32)]
    for wrong in (
        {"metadata": filled},
        {"metadata": metadata(5_000, "\U0001f600")},
        {"access": tags, "metadata": {"k": "v" * 1_000}},
    ):
        with pytest.raises(BadRequest, match=r"16,384 bytes together"):
            upload_from_text({"title": "T", "text": "x", **wrong})
        with pytest.raises(BadRequest, match=r"16,384 bytes together"):
            upload_from_file(b"x", content_type="text/plain", file_name="f.txt" * 9, **wrong)


def test_cards_count_against_the_plan_s_storage(played: Callable[[Scene], None]) -> None:
    small, other = (
        support.principal(support.tenant(name, storage_max_mb=1)) for name in ("tnt_a", "tnt_c")
    )
    said = metadata(15_000)

    async def scene(world: World) -> None:
        ids: list[DocumentId] = []
        with pytest.raises(QuotaExceeded) as caught:
            for number in range(200):
                upload = text(f"T{number}", f"word{number}", metadata=said)
                document = (await ingestion.ingest(world.deps, small, upload)).document
                assert document.size_bytes == len(upload.data), "as it was uploaded"
                ids.append(document.id)
        assert caught.value.limit == "storage_max_mb"
        assert len(ids) == 1_000_000 // (card_bytes(upload.card) + len(upload.data))
        assert (await ingestion.ingest(world.deps, other, upload)).created
        assert len((await documents.list_documents(world.deps, small, limit=100)).documents) == len(
            ids
        )
        await documents.delete_document(world.deps, small, ids[0])
        assert (await ingestion.ingest(world.deps, small, upload)).created

    played(scene)


def test_a_page_ends_where_its_cards_are_heavy_and_all_are_read_and_deleted(
    played: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        for number in range(6):
            await ingestion.ingest(world.deps, ALICE, heavy(f"T{number}", f"word{number}", 0.4))
            await ingestion.ingest(world.deps, BOB, text(f"B{number}", f"word{number}"))
            await asyncio.sleep(0.002)  # ids sort by millisecond
        await ingestion.ingest(world.deps, ALICE, heavy("T6", "word6", 3))
        seen: list[list[str]] = []
        cursor = None
        while not seen or cursor is not None:
            page = await documents.list_documents(world.deps, ALICE, cursor=cursor, limit=5)
            seen.append([item.card.title for item in page.documents])
            cursor = page.next_cursor
        assert seen == [["T6"], ["T5", "T4"], ["T3", "T2"], ["T1", "T0"]]
        page = await documents.list_documents(world.deps, BOB, limit=6)
        assert (len(page.documents), page.next_cursor) == (6, None)
        for item in (await documents.list_documents(world.deps, ALICE, limit=1)).documents:
            found = await documents.document_content(world.deps, ALICE, item.id)
            assert found.data == b"word6"
            await documents.delete_document(world.deps, ALICE, item.id)
        (first,) = (await documents.list_documents(world.deps, ALICE, limit=1)).documents
        assert first.card.title == "T5"

    played(scene)


@pytest.mark.parametrize("merged", [False, True])
def test_open_memory_keeps_its_bound_whatever_cards_weigh(tmp_path: Path, merged: bool) -> None:
    """Cards of 300 kB and vectors of 256 bytes: rows alone say nothing of a segment."""
    bound, count = 4_000_000, 24
    homes = [support.home(owner) for owner in (A, B)]

    async def scene() -> None:
        own, manifest = support.parts(tmp_path), support.MemoryManifest()
        vectors = support.partitions(
            own,
            manifest,
            open_bytes_max=bound,
            segments_max=2 if merged else count,
        )
        peak = 0

        class Watched(Permission):
            def sees(self, tags: frozenset[str]) -> bool:
                nonlocal peak
                peak = max(peak, vectors.open_bytes)
                return super().sees(tags)

        try:
            for home in homes:
                await own.keys.create(home)
                for number in range(count):
                    row = support.row(f"doc_{number:02}")
                    await manifest.insert(home.tenant_id, row, support.UNLIMITED, 60.0)
                    said = {"k": "x" * 300_000}
                    document = support.embedded(row.id, [f"word{number}"], metadata=said)
                    assert await vectors.publish(home, document)
                if merged:
                    await vectors.settle()
            for home in homes * 2:
                query = Query(support.vector_of("word7"))
                found = await vectors.search(home, support.MODEL, query, 1, Watched(frozenset()))
                assert [hit.document_id for hit in found] == ["doc_07"]
                assert vectors.open_bytes <= bound
            if not merged:
                assert 0 < peak <= bound, "its share is a quarter, beside what the cache holds"
        finally:
            vectors.close()

    asyncio.run(scene())


def test_tags_that_are_kept_are_counted(tmp_path: Path) -> None:
    count, bound = 40, 1_500_000
    homes = [support.home(owner) for owner in (A, B)]

    async def scene() -> None:
        own, manifest = support.parts(tmp_path), support.MemoryManifest()
        vectors = support.partitions(own, manifest, open_bytes_max=bound, segments_max=count)
        try:
            for home in homes:
                await own.keys.create(home)
                for number in range(count):
                    row = support.row(f"doc_{number:02}")
                    await manifest.insert(home.tenant_id, row, support.UNLIMITED, 60.0)
                    access = frozenset(f"{number:03}-{n:02}-" + "x" * 119 for n in range(32))
                    document = support.embedded(row.id, [f"word{number}"], access=access)
                    assert await vectors.publish(home, document)
            home = homes[0]
            await vectors.cards(home, frozenset({DocumentId(f"doc_{n:02}") for n in range(count)}))
            opened = vectors.open_bytes
            groups = frozenset({"007-03-" + "x" * 119})
            query = Query(support.vector_of("word7"))
            for _ in range(3):
                found = await vectors.search(home, support.MODEL, query, 2, Permission(groups))
                assert [hit.document_id for hit in found] == ["doc_07"]
            # 128 characters and an object's head, 32 times, in a set of them: 2 kB of table.
            assert vectors.open_bytes - opened >= count * 32 * 170
            for home in homes * 2:
                await vectors.search(home, support.MODEL, query, 2, Permission(groups))
                assert vectors.open_bytes <= bound
        finally:
            vectors.close()

    asyncio.run(scene())


def test_a_tag_of_many_documents_is_kept_once(tmp_path: Path) -> None:
    async def scene() -> None:
        own, manifest = support.parts(tmp_path), support.MemoryManifest()
        vectors = support.partitions(own, manifest)
        home = support.home(A)
        await own.keys.create(home)
        names = [f"{n:02}-" + "x" * 120 for n in range(33)]
        try:
            for number in range(33):
                row = support.row(f"doc_{number:02}")
                await manifest.insert(home.tenant_id, row, support.UNLIMITED, 60.0)
                access = frozenset(names) - {names[number]}
                document = support.embedded(row.id, [f"word{number}"], access=access)
                assert await vectors.publish(home, document)
            await vectors.settle()  # few segments, with 33 different sets
            wanted = frozenset({DocumentId(f"doc_{number:02}") for number in range(33)})
            assert len(await vectors.cards(home, wanted)) == 33
            before = vectors.open_bytes
            query = Query(support.vector_of("word7"))
            await vectors.search(home, support.MODEL, query, 1, EVERYBODY)
            assert 0 < vectors.open_bytes - before < 33 * 32 * 170
        finally:
            vectors.close()

    asyncio.run(scene())


def test_cards_of_other_engines_leave_by_their_bytes() -> None:
    cache = CardCache(bytes_max=100_000)
    card = Card("T", "text/plain", metadata={"k": "x" * 16_000})

    def known(tenant_id: Any, count: int) -> set[int]:
        wanted = {DocumentId(f"doc_{n}"): SegmentId("seg_1") for n in range(count)}
        return {int(name.removeprefix("doc_")) for name in cache.known(tenant_id, wanted)[0]}

    for owner in (A.id, B.id):
        for number in range(3):
            cache.keep(owner, DocumentId(f"doc_{number}"), SegmentId("seg_1"), card)
    assert (known(A.id, 3), known(B.id, 3)) == (set(), {0, 1, 2})
    cache.keep(B.id, DocumentId("doc_2"), SegmentId("seg_1"), card)
    assert known(B.id, 3) == {0, 1, 2}, "the same card again weighs nothing more"
    cache.drop(B.id)
    for number in range(3):
        cache.keep(A.id, DocumentId(f"doc_{number}"), SegmentId("seg_1"), card)
    assert (known(A.id, 3), known(B.id, 3)) == ({0, 1, 2}, set())


def test_a_group_that_is_opened_at_once_weighs_its_share_at_most(tmp_path: Path) -> None:
    """Asked of the cache itself: what is pinned together, of segments that were never open."""
    bound, count = 8_000_000, 12
    home = support.home(A)

    async def scene() -> None:
        own, manifest = support.parts(tmp_path), support.MemoryManifest()
        vectors = support.partitions(own, manifest, open_bytes_max=bound, segments_max=count)
        try:
            await own.keys.create(home)
            for number in range(count):
                row = support.row(f"doc_{number:02}")
                await manifest.insert(home.tenant_id, row, support.UNLIMITED, 60.0)
                said = {"k": "x" * 600_000}
                assert await vectors.publish(
                    home, support.embedded(row.id, [f"word{number}"], metadata=said)
                )
            weights: list[int] = []
            pinned = vectors._cache.pinned

            def watched(wanted: Any) -> Any:
                weights.append(len(wanted) * 600_000)
                return pinned(wanted)

            vectors._cache.pinned = watched  # type: ignore[method-assign]
            names = frozenset(DocumentId(f"doc_{n:02}") for n in range(count))
            assert len(await vectors.cards(home, names)) == count
            assert len(weights) > 1
            assert max(weights) <= bound // SEARCHES_AT_ONCE
        finally:
            vectors.close()

    asyncio.run(scene())
