"""What every manifest does: the one in PostgreSQL, and the one in memory that unit tests use."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from tests.support import knowledge as support
from tests.support.manifest_rows import A, B, add, insert, segment

from tenantry.domain.document import DocumentState, PageCount
from tenantry.domain.errors import Conflict, QuotaExceeded
from tenantry.ports.manifest import Manifest
from tenantry.ports.objects import ObjectKind


def test_nothing_of_one_tenant_is_there_for_another(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await add(manifest, A, "doc_1")
        assert await manifest.document(B, "doc_1") is None
        assert await manifest.by_content(B, support.row("doc_1").content_hmac) is None
        assert await manifest.documents(B, None, 10) == []
        assert await manifest.generation(B) == 0
        assert (await manifest.partition(B)).segments == ()
        assert await manifest.objects(B) == frozenset()
        assert await manifest.remove(B, "doc_1") is None
        assert not await manifest.publish(B, segment("seg_x"), "doc_1")
        assert not await manifest.merge(B, ["seg_doc_1"], segment("seg_y"))
        assert not await manifest.keep(B, "doc_1", 1.0)
        await manifest.fail(B, "doc_1", "x")
        assert (await manifest.document(A, "doc_1")).state is DocumentState.READY
        await add(manifest, B, "doc_1")
        assert len(await manifest.documents(A, None, 10)) == 1

    played(scene)


def test_a_document_goes_from_indexing_to_ready_and_away(played) -> None:
    async def scene(manifest: Manifest) -> None:
        assert await insert(manifest, A, "doc_1")
        row = await manifest.document(A, "doc_1")
        assert (row.state, row.passages) == (DocumentState.INDEXING, 0)
        before = await manifest.generation(A)
        assert await manifest.publish(A, segment("seg_1", rows=7), "doc_1")
        row = await manifest.document(A, "doc_1")
        assert (row.state, row.passages) == (DocumentState.READY, 7)
        view = await manifest.partition(A)
        assert view.generation == await manifest.generation(A) > before
        (live,) = view.segments
        assert (live.id, live.rows, live.live_rows) == ("seg_1", 7, 7)
        assert (live.documents, view.model) == ({"doc_1"}, "m")
        assert await manifest.objects(A) == {"seg_1", row.original_id}
        removed = await manifest.remove(A, "doc_1")
        assert (removed.row.id, removed.segments) == ("doc_1", ("seg_1",))
        assert await manifest.generation(A) > view.generation
        assert await manifest.objects(A) == frozenset()

    played(scene)


def test_a_document_s_pages_come_with_the_commit_that_makes_it_ready(played) -> None:
    async def scene(manifest: Manifest) -> None:
        for tenant in (A, B):
            await insert(manifest, tenant, "doc_1")
        assert (await manifest.document(A, "doc_1")).pages is None
        part = PageCount(6, 5)
        assert await manifest.publish(A, segment("seg_1"), "doc_1", pages=part)
        assert (await manifest.document(A, "doc_1")).pages == part
        assert (await manifest.document(B, "doc_1")).pages is None
        assert await manifest.publish(B, segment("seg_b"), "doc_1", pages=PageCount(1, 0))
        await manifest.merge(A, ["seg_1"], segment("seg_merged"))
        (listed,) = await manifest.documents(A, None, 9)
        same = await manifest.by_content(A, support.row("doc_1").content_hmac)
        assert (listed.pages, same) == (part, listed)
        assert (await manifest.remove(A, "doc_1")).row.pages == part
        assert (await manifest.document(B, "doc_1")).pages == PageCount(1, 0)

    played(scene)


def test_what_a_deletion_has_left_is_known_until_it_is_gone(played) -> None:
    async def scene(manifest: Manifest) -> None:
        for tenant in (A, B):
            await add(manifest, tenant, "doc_1")
        await add(manifest, A, "doc_2")
        await manifest.merge(A, ["seg_doc_1"], segment("seg_merged"))
        original = support.row("doc_1").original_id
        assert await manifest.deletions(A, 0.0, 9) == [], "a merge deletes nothing for good"
        await manifest.remove(A, "doc_1")
        left = {(ObjectKind.ORIGINAL, original), (ObjectKind.SEGMENT, "seg_merged")}
        assert set(await manifest.deletions(A, 0.0, 9)) == left
        assert len(await manifest.deletions(A, 0.0, 1)) == 1
        assert await manifest.deletions(A, 3_600.0, 9) == []
        names = ["seg_merged", "seg_doc_2", original]
        assert await manifest.deleted_of(A, names) == {"seg_merged", original}
        assert await manifest.deleted_of(B, names) == frozenset()
        await manifest.forget_deletions(B, names)
        await manifest.forget_deletions(A, [original])
        await manifest.forget_deletions(A, [original])
        assert await manifest.deletions(A, 0.0, 9) == [(ObjectKind.SEGMENT, "seg_merged")]

    played(scene)


def test_a_document_is_published_once(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await add(manifest, A, "doc_1")
        assert not await manifest.publish(A, segment("seg_again"), "doc_1")
        assert not await manifest.publish(A, segment("seg_none"), "doc_none")
        assert [item.id for item in (await manifest.partition(A)).segments] == ["seg_doc_1"]
        await manifest.fail(A, "doc_1", "late")
        assert (await manifest.document(A, "doc_1")).state is DocumentState.READY

    played(scene)


def test_the_same_content_is_inserted_once_but_a_failed_one_anew(played) -> None:
    async def scene(manifest: Manifest) -> None:
        first = support.row("doc_1", b"same")
        await manifest.insert(A, first, support.UNLIMITED, 60.0)
        second = support.row("doc_2", b"same")
        again = await manifest.insert(A, second, support.UNLIMITED, 60.0)
        assert (again.created, again.row.id) == (False, "doc_1")
        await manifest.fail(A, "doc_1", "budget_exceeded")
        assert (await manifest.document(A, "doc_1")).failure == "budget_exceeded"
        anew = await manifest.insert(A, second, support.UNLIMITED, 60.0)
        assert (anew.created, anew.row.id, anew.row.failure) == (True, "doc_2", None)
        assert await manifest.document(A, "doc_1") is None
        assert (await manifest.by_content(A, second.content_hmac)).id == "doc_2"

    played(scene)


def test_limits_hold_when_many_insert_at_once(played) -> None:
    async def scene(manifest: Manifest) -> None:
        done = await asyncio.gather(
            *(insert(manifest, A, f"doc_{n}", documents=3) for n in range(9)),
            return_exceptions=True,
        )
        assert sum(item is True for item in done) == 3
        assert all(isinstance(item, (bool, QuotaExceeded)) for item in done)
        with pytest.raises(QuotaExceeded) as caught:
            await insert(manifest, B, "doc_1", storage=99)
        assert caught.value.limit == "storage_max_mb"
        assert await insert(manifest, B, "doc_1", storage=100)
        await manifest.remove(B, "doc_1")
        assert await insert(manifest, B, "doc_1", storage=100, documents=1)

    played(scene)


def test_another_model_or_length_is_refused_until_nothing_is_left(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await add(manifest, A, "doc_1")
        await insert(manifest, A, "doc_2")
        for other in ({"model": "n"}, {"dimensions": 16}):
            with pytest.raises(Conflict):
                await manifest.publish(A, segment("seg_2", **other), "doc_2")
        await manifest.remove(A, "doc_1")
        assert await manifest.publish(A, segment("seg_2", model="n", dimensions=16), "doc_2")

    played(scene)


def test_a_merge_moves_what_is_still_live(played) -> None:
    async def scene(manifest: Manifest) -> None:
        for number in range(3):
            await add(manifest, A, f"doc_{number}", rows=5)
        await manifest.remove(A, "doc_0")
        sources = ["seg_doc_1", "seg_doc_2"]
        assert await manifest.merge(A, sources, segment("seg_m", rows=10))
        (live,) = (await manifest.partition(A)).segments
        assert (live.id, live.documents) == ("seg_m", {"doc_1", "doc_2"})
        assert not await manifest.merge(A, sources, segment("seg_n"))
        removed = await manifest.remove(A, "doc_1")
        assert removed.segments == ()
        (live,) = (await manifest.partition(A)).segments
        assert (live.rows, live.live_rows) == (10, 5)

    played(scene)


def test_what_is_live_is_known_of_what_is_asked_for_alone(played) -> None:
    async def scene(manifest: Manifest) -> None:
        assert (await manifest.live(A, ["seg_doc_1"], ["doc_1"])).generation == 0
        for number in range(3):
            await add(manifest, A, f"doc_{number}")
        live = await manifest.live(A)
        assert (live.model, live.dimensions, live.documents) == ("m", 8, {})
        assert live.generation == await manifest.generation(A)
        live = await manifest.live(A, ["seg_doc_1", "seg_gone"], ["doc_2", "doc_gone"])
        assert live.documents == {"seg_doc_1": {"doc_1"}, "seg_doc_2": {"doc_2"}}
        assert (await manifest.live(B, ["seg_doc_1"], ["doc_2"])).documents == {}
        await manifest.remove(A, "doc_1")
        assert (await manifest.live(A, ["seg_doc_1"], ["doc_1"])).documents == {}

    played(scene)


def test_lists_are_newest_first_and_continue(played) -> None:
    async def scene(manifest: Manifest) -> None:
        for number in range(5):
            await insert(manifest, A, f"doc_{number}")
        first = await manifest.documents(A, None, 3)
        rest = await manifest.documents(A, first[-1].id, 3)
        assert [row.id for row in [*first, *rest]] == [f"doc_{n}" for n in (4, 3, 2, 1, 0)]

    played(scene)


def test_one_claims_what_nobody_works_on(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await manifest.insert(A, support.row("doc_1"), support.UNLIMITED, 0.0)
        await manifest.insert(A, support.row("doc_2"), support.UNLIMITED, 60.0)
        await asyncio.sleep(0.01)
        claims = await asyncio.gather(*(manifest.claim(A, 10, 60.0) for _ in range(4)))
        assert [row.id for rows in claims for row in rows] == ["doc_1"]
        assert await manifest.keep(A, "doc_1", 0.0)
        await asyncio.sleep(0.01)
        assert [row.id for row in await manifest.claim(A, 10, 60.0)] == ["doc_1"]
        await manifest.fail(A, "doc_1", "x")
        assert not await manifest.keep(A, "doc_1", 60.0)

    played(scene)


def test_times_are_the_store_s_own(played) -> None:
    async def scene(manifest: Manifest) -> None:
        await insert(manifest, A, "doc_1")
        row = await manifest.document(A, "doc_1")
        assert row.created_at.tzinfo is not None
        assert dataclasses.replace(row, state=DocumentState.READY) != row

    played(scene)
