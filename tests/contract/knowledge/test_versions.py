"""Versions that replace a document, and batches that are kept until theirs is published."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from tests.support import knowledge as support
from tests.support.manifest_rows import A, B, add, insert, segment

from tenantry.domain.document import DocumentLimits, DocumentRow, DocumentState, PageCount, Progress
from tenantry.domain.errors import Conflict, NotFound, QuotaExceeded
from tenantry.domain.ids import DocumentId
from tenantry.domain.space import Space
from tenantry.ports.manifest import EmbeddedBatch, Inserted, Manifest

SPACE = Space("m", 8)


def version(name: str, of: str, content: bytes = b"", **more: object) -> DocumentRow:
    return dataclasses.replace(support.row(name, content), replaces=DocumentId(of), **more)


async def send(manifest: Manifest, row: DocumentRow, **limits: int) -> Inserted:
    bounds = DocumentLimits(limits.get("documents"), limits.get("storage"))
    return await manifest.insert(A, row, bounds, support.LEASE_S)


async def publish(manifest: Manifest, row: DocumentRow, name: str, rows: int = 3) -> bool:
    return await manifest.publish(A, segment(name, rows), row.document_id, row.original_id)


def batch(content: bytes, first: int = 0, name: str = "batch_1") -> EmbeddedBatch:
    return EmbeddedBatch(support.row("x", content).content_hmac, SPACE, first, 64, name)


def test_a_version_takes_its_document_s_place_in_one_commit(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await add(manifest, A, "doc_1", rows=3)
        await add(manifest, A, "doc_2", rows=3)
        before = await manifest.document(A, "doc_1")
        new = version("doc_3", "doc_1")
        assert (await send(manifest, new)).row.replaces == "doc_1"
        assert [row.id for row in await manifest.documents(A, None, 9)] == ["doc_2", "doc_1"]
        assert await manifest.document(A, "doc_3") is None
        (on_its_way,) = await manifest.replacements(A, ["doc_1", "doc_2"])
        assert (on_its_way.id, on_its_way.document_id) == ("doc_3", "doc_1")
        assert (await manifest.document(A, "doc_1")) == before
        assert new.original_id in await manifest.objects(A)
        generation = await manifest.generation(A)
        assert not await manifest.publish(A, segment("seg_no"), "doc_1", before.original_id)
        assert await publish(manifest, new, "seg_3", rows=7)
        after = await manifest.document(A, "doc_1")
        assert (after.state, after.passages) == (DocumentState.READY, 7)
        assert (after.content_hmac, after.original_id) == (new.content_hmac, new.original_id)
        assert after.created_at == before.created_at
        view = await manifest.partition(A)
        assert {item.id: item.documents for item in view.segments} == {
            "seg_doc_2": {"doc_2"},
            "seg_3": {"doc_1"},
        }
        assert view.generation > generation
        assert await manifest.objects(A) == {"seg_doc_2", "seg_3", "obj_doc_2", new.original_id}
        assert await manifest.replacements(A, ["doc_1"]) == []
        assert not await publish(manifest, new, "seg_again")

    played(scene)


@pytest.mark.parametrize("after", [PageCount(3, 0), None], ids=["PDF", "text"])
def test_a_version_brings_its_own_pages(played, after: PageCount | None) -> None:
    async def scene(manifest: Manifest) -> None:
        before = PageCount(6, 5)
        for tenant in (A, B):
            await insert(manifest, tenant, "doc_1")
            await manifest.publish(tenant, segment("seg_1"), "doc_1", pages=before)
        new = version("doc_2", "doc_1")
        await send(manifest, new)
        await manifest.fail(A, "doc_2", "unreadable")
        assert (await manifest.document(A, "doc_1")).pages == before
        await send(manifest, new)
        assert await manifest.publish(A, segment("seg_2"), "doc_1", new.original_id, pages=after)
        assert (await manifest.document(A, "doc_1")).pages == after
        assert (await manifest.document(B, "doc_1")).pages == before

    played(scene)


def test_a_version_that_fails_or_is_taken_back_leaves_its_document(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await add(manifest, A, "doc_1")
        new = version("doc_2", "doc_1", original_bytes=500)
        await send(manifest, new)
        assert await manifest.remove(A, "doc_2") is not None
        assert await manifest.replacements(A, ["doc_1"]) == []
        await send(manifest, new)
        await manifest.fail(A, "doc_2", "budget_exceeded")
        (failed,) = await manifest.replacements(A, ["doc_1"])
        assert (failed.state, failed.failure) == (DocumentState.FAILED, "budget_exceeded")
        assert (await manifest.document(A, "doc_1")).state is DocumentState.READY
        assert await manifest.objects(A) == {"seg_doc_1", "obj_doc_1"}, "it is held no longer"
        assert not await publish(manifest, new, "seg_2")
        other = await send(manifest, version("doc_3", "doc_1"))
        assert other.created, "a failed one makes way"
        assert [row.id for row in await manifest.replacements(A, ["doc_1"])] == ["doc_3"]

    played(scene)


def test_one_version_at_a_time_and_none_of_what_is_not_there(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await add(manifest, A, "doc_1")
        await add(manifest, A, "doc_2")
        await insert(manifest, A, "doc_3")
        new = version("doc_9", "doc_1", b"new")
        done = await asyncio.gather(
            *(send(manifest, version(f"doc_{n}", "doc_1", bytes([n]))) for n in range(4, 8)),
            return_exceptions=True,
        )
        assert sum(isinstance(item, Inserted) for item in done) == 1
        assert sum(isinstance(item, Conflict) for item in done) == 3
        (winner,) = (item.row for item in done if isinstance(item, Inserted))
        again = await send(manifest, dataclasses.replace(winner, id=DocumentId("doc_8")))
        assert (again.created, again.row.id) == (False, winner.id)
        assert await publish(manifest, winner, "seg_w")
        with pytest.raises(Conflict):
            await send(manifest, version("doc_9", "doc_3", b"new"))
        with pytest.raises(NotFound):
            await send(manifest, version("doc_9", "doc_none", b"new"))
        with pytest.raises(NotFound):
            await manifest.insert(B, new, support.UNLIMITED, 60.0)
        held = support.row("doc_2").content_hmac
        with pytest.raises(Conflict, match="there already"):
            await send(manifest, dataclasses.replace(new, content_hmac=held))
        own = (await manifest.document(A, "doc_1")).content_hmac
        same = await send(manifest, dataclasses.replace(new, content_hmac=own))
        assert (same.created, same.row.id) == (False, "doc_1")
        assert await manifest.replacements(B, ["doc_1"]) == []

    played(scene)


def test_a_document_that_failed_can_be_replaced_and_sent_again_under_its_id(played) -> None:
    async def scene(manifest: Manifest) -> None:
        for name in ("doc_1", "doc_2"):
            await insert(manifest, A, name)
            await manifest.fail(A, name, "unreadable")
        other = version("doc_8", "doc_1", b"other")
        await send(manifest, other)
        assert await publish(manifest, other, "seg_8")
        row = await manifest.document(A, "doc_1")
        assert (row.state, row.failure) == (DocumentState.READY, None)
        same = dataclasses.replace(
            version("doc_9", "doc_2"), content_hmac=support.row("doc_2").content_hmac
        )
        again = await send(manifest, same)
        assert (again.created, again.restarted) == (True, True)
        assert (again.row.id, again.row.state) == ("doc_2", DocumentState.INDEXING)
        assert await publish(manifest, again.row, "seg_9")
        assert len(await manifest.documents(A, None, 9)) == 2

    played(scene)


def test_a_version_counts_for_what_it_is_larger_whatever_becomes_of_it(played) -> None:
    async def scene(manifest: Manifest) -> None:
        full = {"documents": 2, "storage": 200}
        for name in ("doc_1", "doc_2"):
            assert await insert(manifest, A, name, **full)
        for name in ("doc_1", "doc_2"):
            await manifest.publish(A, segment(f"seg_{name}"), name)
        small = version("doc_3", "doc_1", original_bytes=40)
        assert (await send(manifest, small, **full)).created, "a full plan can be replaced"
        with pytest.raises(QuotaExceeded):
            await insert(manifest, A, "doc_4", storage=200)
        assert await publish(manifest, small, "seg_3")
        large = version("doc_5", "doc_2", original_bytes=161)
        with pytest.raises(QuotaExceeded) as caught:
            await send(manifest, large, **full)
        assert caught.value.limit == "storage_max_mb"
        fits = dataclasses.replace(large, original_bytes=160)
        assert (await send(manifest, fits, **full)).created
        with pytest.raises(QuotaExceeded):
            await insert(manifest, A, "doc_6", storage=200)
        await manifest.fail(A, "doc_5", "x")
        assert await manifest.remove(A, "doc_1") is not None
        assert await insert(manifest, A, "doc_7", **full), "doc_2 has its hundred, and no more"
        await send(manifest, dataclasses.replace(fits, original_bytes=100), **full)
        await manifest.remove(A, "doc_2")
        with pytest.raises(QuotaExceeded):
            await insert(manifest, A, "doc_8", storage=199)
        assert await insert(manifest, A, "doc_8", **full)

    played(scene)


def test_progress_is_kept_with_the_claim(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await insert(manifest, A, "doc_1")
        assert await manifest.keep(A, "doc_1", 60.0, Progress(64, 130))
        row = await manifest.document(A, "doc_1")
        assert (row.passages_done, row.passages_total) == (64, 130)
        assert await manifest.keep(A, "doc_1", 60.0)
        assert (await manifest.document(A, "doc_1")).passages_done == 64
        assert not await manifest.keep(B, "doc_1", 60.0, Progress(1, 1))

    played(scene)


def test_batches_are_named_once_and_go_with_their_document(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await insert(manifest, A, "doc_1")
        own = support.row("doc_1").content_hmac
        first = dataclasses.replace(batch(b""), content_hmac=own)
        second = dataclasses.replace(first, first=64, object_id="batch_2")
        assert await manifest.keep_batch(A, second)
        assert await manifest.keep_batch(A, first)
        assert not await manifest.keep_batch(A, dataclasses.replace(first, object_id="batch_3"))
        assert not await manifest.keep_batch(A, batch(b"nobody's"))
        assert not await manifest.keep_batch(B, first)
        assert await manifest.batches(A, own, SPACE) == [first, second]
        assert await manifest.batches(A, own, Space("n", 8)) == []
        assert await manifest.batches(B, own, SPACE) == []
        assert {"batch_1", "batch_2"} <= await manifest.objects(A)
        await manifest.publish(A, segment("seg_1"), "doc_1")
        assert await manifest.batches(A, own, SPACE) == []
        assert await manifest.objects(A) == {"seg_1", "obj_doc_1"}
        assert not await manifest.keep_batch(A, first), "it is published"

    played(scene)


def test_batches_of_what_failed_are_there_when_it_is_sent_again(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await insert(manifest, A, "doc_1")
        own = dataclasses.replace(batch(b""), content_hmac=support.row("doc_1").content_hmac)
        await manifest.keep_batch(A, own)
        await manifest.fail(A, "doc_1", "budget_exceeded")
        again = dataclasses.replace(support.row("doc_2"), content_hmac=own.content_hmac)
        assert (await send(manifest, again)).created
        assert await manifest.batches(A, own.content_hmac, SPACE) == [own]
        await manifest.remove(A, "doc_2")
        assert await manifest.batches(A, own.content_hmac, SPACE) == []

    played(scene)


def test_what_is_searched_decides_the_space(played) -> None:
    async def scene(manifest: Manifest) -> None:
        assert (await manifest.spaces(A)).generation == 0
        await insert(manifest, A, "doc_1")
        spaces = await manifest.spaces(A)
        assert (spaces.live, spaces.kept) == (None, None)
        await manifest.publish(A, segment("seg_1"), "doc_1")
        spaces = await manifest.spaces(A)
        assert (spaces.live, spaces.kept, spaces.next) == (SPACE, None, None)
        of_another = await manifest.spaces(B)
        assert (of_another.live, of_another.kept) == (None, None)
        await manifest.remove(A, "doc_1")
        spaces = await manifest.spaces(A)
        assert (spaces.live, spaces.kept) == (None, SPACE)

    played(scene)


def test_a_card_counts_as_its_document_s_bytes_do(played) -> None:
    async def scene(manifest: Manifest) -> None:
        full = {"documents": 2, "storage": 200}
        heavy = dataclasses.replace(support.row("doc_1"), original_bytes=10, card_bytes=140)
        stored = (await send(manifest, heavy, **full)).row
        assert (stored.original_bytes, stored.card_bytes, stored.stored_bytes) == (10, 140, 150)
        await manifest.publish(A, segment("seg_1"), "doc_1")
        with pytest.raises(QuotaExceeded) as caught:
            await insert(manifest, A, "doc_2", **full)
        assert caught.value.limit == "storage_max_mb"
        assert await insert(manifest, B, "doc_2", **full), "another tenant has its own room"
        larger = version("doc_3", "doc_1", original_bytes=10, card_bytes=191)
        with pytest.raises(QuotaExceeded):
            await send(manifest, larger, **full)
        fits = dataclasses.replace(larger, card_bytes=160)
        assert (await send(manifest, fits, **full)).created
        assert await publish(manifest, fits, "seg_3")
        now = await manifest.document(A, "doc_1")
        assert (now.original_bytes, now.card_bytes) == (10, 160)
        with pytest.raises(QuotaExceeded):
            await insert(manifest, A, "doc_4", storage=269)
        await manifest.remove(A, "doc_1")
        assert await insert(manifest, A, "doc_4", storage=100), "nothing of it is left"

    played(scene)


def test_a_failed_document_of_before_counts_its_card_once_it_is_sent_again(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await insert(manifest, A, "doc_1")
        await manifest.fail(A, "doc_1", "x")
        again = version("doc_2", "doc_1", b"doc_1", card_bytes=30)
        assert (await send(manifest, again)).restarted
        with pytest.raises(QuotaExceeded):
            await insert(manifest, A, "doc_3", storage=229)
        assert await insert(manifest, B, "doc_3", storage=229)
        await manifest.remove(A, "doc_1")
        assert await insert(manifest, A, "doc_3", storage=100)

    played(scene)
