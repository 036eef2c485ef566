"""A document replaced: the old version is searched until the new one is ready, and never after."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.documents import (
    ALICE,
    BOB,
    LARGE,
    A,
    World,
    add,
    held,
    put,
    shown,
    stored,
    text,
    titles,
)

from tenantry.application import documents, indexing, patience
from tenantry.application.indexing_tasks import TASKS_LIMIT, IndexingTasks
from tenantry.application.ingestion import Caller
from tenantry.application.tending import sweep_orphans
from tenantry.domain.document import DocumentState, Progress
from tenantry.domain.errors import (
    BudgetExceeded,
    ConcurrencyLimited,
    Conflict,
    NotFound,
    QuotaExceeded,
    TooLarge,
    Unavailable,
    UpstreamThrottled,
)
from tenantry.ports.objects import ObjectKind

HR = Caller(groups=frozenset({"hr"}))


def test_searches_see_the_old_version_until_the_new_one_is_ready(played) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("Old", "apples are red"))
        other = await add(world, text("Other", "apples too"))
        reached, go = held(world)
        putting = asyncio.create_task(put(world, old, text("New", "apples are green")))
        await reached.wait()
        assert sorted(await titles(world, ALICE, "apples")) == ["Old", "Other"]
        assert (await shown(world, old)).replacement.status is DocumentState.INDEXING
        listed = (await documents.list_documents(world.deps, ALICE)).documents
        assert [item.id for item in listed] == [other.id, old.id]
        assert await world.originals(A) == 3
        go.set()
        done = await putting
        assert (done.created, done.document.id, done.document.card.title) == (True, old.id, "New")
        assert sorted(await titles(world, ALICE, "apples")) == ["New", "Other"]
        after = await shown(world, old)
        assert (after.replacement, after.created_at) == (None, old.created_at)
        content = await documents.document_content(world.deps, ALICE, old.id)
        assert content.data == b"apples are green"
        assert await world.originals(A) == 2

    played(scene)


def test_the_same_version_again_is_no_work(played) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("T", "apples"))
        other = await add(world, text("U", "pears"))
        calls = len(world.embedder.calls)
        assert not (await put(world, old, text("T", "apples"))).created
        with pytest.raises(Conflict, match=other.id):
            await put(world, old, text("U", "pears"))
        assert len(world.embedder.calls) == calls
        assert (await put(world, old, text("T", "plums"))).created
        assert not (await put(world, old, text("T", "plums"))).created
        assert await world.originals(A) == 2

    played(scene)


def test_nobody_replaces_what_they_cannot_see(played) -> None:
    async def scene(world: World) -> None:
        secret = await add(world, text("Pay", "apples", access=["hr"]))
        theirs = await add(world, text("B", "apples"), BOB)
        calls = len(world.embedder.calls)
        missing = support.row("doc_" + "0" * 26)
        for of, groups in ((secret, {"sales"}), (secret, set()), (theirs, set()), (missing, set())):
            with pytest.raises(NotFound):
                await put(world, of, text("Mine", "plums"), caller=Caller(groups=frozenset(groups)))
        assert len(world.embedder.calls) == calls
        assert await world.originals(A) == 1
        assert await titles(world, BOB, "apples") == ["B"]
        done = await put(world, secret, text("Open", "plums"), caller=HR)
        assert done.created
        assert await titles(world, ALICE, "plums") == ["Open"]

    played(scene)


def test_a_refusal_leaves_the_document_as_it_was(played) -> None:
    async def scene(world: World) -> None:
        small = support.principal(support.tenant("tnt_a", storage_max_mb=1, document_max_mb=1))
        old = await add(world, text("Old", "apples"))
        embed = world.embedder.embed

        async def refuse(*_: object) -> list[list[float]]:
            raise BudgetExceeded()

        world.embedder.embed = refuse
        with pytest.raises(BudgetExceeded):
            await put(world, old, text("New", "plums"))
        world.embedder.embed = embed
        assert (await shown(world, old)).replacement is None
        await add(world, text("Fill", "x " * 400_000), small)
        with pytest.raises(QuotaExceeded) as caught:
            await put(world, old, text("New", "y " * 300_000), small)
        assert caught.value.limit == "storage_max_mb"
        with pytest.raises(TooLarge, match="document_max_mb"):
            await put(world, old, text("New", "y " * 500_001), small)
        assert await titles(world, ALICE, "apples", top_k=1) == ["Old"]
        assert await world.originals(A) == 2

    played(scene)


def test_a_large_version_comes_in_the_background_and_shows_how_far_it_is(played) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("Old", "apples are red"))
        reached, go = held(world, at=3)
        taken = await put(world, old, text("Large", LARGE))
        assert taken.document.card.title == "Old"
        await reached.wait()
        version = (await shown(world, old)).replacement
        assert (version.status, version.progress.done) == (DocumentState.INDEXING, 128)
        assert version.progress.total >= 1_200
        assert await titles(world, ALICE, "apples") == ["Old"]
        with pytest.raises(Conflict, match="being replaced"):
            await put(world, old, text("Third", "plums"))
        again = await put(world, old, text("Large", LARGE))
        assert not again.created
        assert again.document.replacement is not None
        go.set()
        await world.deps.tasks.settle()
        after = await shown(world, old)
        assert (after.card.title, after.replacement) == ("Large", None)
        assert after.progress == Progress(after.passages, after.passages)
        assert "Old" not in await titles(world, ALICE, "apples", top_k=50)
        assert await stored(world, ObjectKind.BATCH) == 0

    played(scene)


def test_a_large_version_that_fails_says_why_and_goes_on_where_it_was(played) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("Old", "apples are red"))
        embed, left = world.embedder.embed, [5]

        async def until_spent(*given: Any) -> Any:
            if given[2] == "document":
                if not left[0]:
                    raise BudgetExceeded()
                left[0] -= 1
            return await embed(*given)

        world.embedder.embed = until_spent
        await put(world, old, text("Large", LARGE))
        await world.deps.tasks.settle()
        version = (await shown(world, old)).replacement
        assert (version.status, version.failure) == (DocumentState.FAILED, "budget_exceeded")
        assert version.progress.done == 320
        assert await titles(world, ALICE, "apples") == ["Old"]
        await support.settled(world.partitions)
        deps = world.deps
        await sweep_orphans(support.home(A), deps.objects, deps.manifest, support.ours, age_s=0.0)
        assert await world.originals(A) == 1
        left[0] = 1_000
        await put(world, old, text("Large", LARGE))
        await world.deps.tasks.settle()
        after = await shown(world, old)
        assert after.card.title == "Large"
        asked = sum(count for _, count, kind in world.embedder.calls if kind == "document")
        assert asked == 1 + after.passages, "nothing was embedded twice"

    played(scene)


def test_a_document_deleted_while_it_is_replaced_takes_all_with_it(played) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("Old", "apples"))
        reached, go = held(world, at=3)
        await put(world, old, text("Large", LARGE))
        await reached.wait()
        await documents.delete_document(world.deps, ALICE, old.id)
        assert await world.originals(A) == 0
        go.set()
        await world.deps.tasks.settle()
        await support.settled(world.partitions)
        deps = world.deps
        await sweep_orphans(support.home(A), deps.objects, deps.manifest, support.ours, age_s=0.0)
        for kind in (ObjectKind.ORIGINAL, ObjectKind.SEGMENT, ObjectKind.BATCH):
            assert await stored(world, kind) == 0
        assert await titles(world, ALICE, "apples") == []

    played(scene)


@pytest.mark.parametrize("replacing", [False, True])
def test_whoever_takes_over_embeds_at_most_one_batch_again(
    played, monkeypatch: pytest.MonkeyPatch, replacing: bool
) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("Old", "apples"))
        monkeypatch.setattr(patience, "LEASE_S", 0.0)
        reached, _ = held(world, at=4)
        if replacing:
            await put(world, old, text("Large", LARGE))
        else:
            await add(world, text("Large", LARGE))
        await reached.wait()
        await world.deps.tasks.close()
        following = world.again()
        assert await indexing.resume_indexing(following.deps, [A]) == 1
        await following.deps.tasks.settle()
        listed = (await documents.list_documents(following.deps, ALICE)).documents
        large = next(item for item in listed if item.card.title == "Large")
        assert (large.status, large.id == old.id) == (DocumentState.READY, replacing)
        calls = [*world.embedder.calls, *following.embedder.calls]
        asked = sum(count for _, count, kind in calls if kind == "document")
        assert asked == 1 + large.passages, "the fourth batch had not been embedded"
        assert await stored(world, ObjectKind.BATCH) == 0
        following.partitions.close()

    played(scene)


def test_a_batch_that_is_damaged_is_embedded_again(played, monkeypatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(patience, "LEASE_S", 0.0)
        reached, _ = held(world, at=4)
        await add(world, text("Large", LARGE))
        await reached.wait()
        await world.deps.tasks.close()
        one, other, *_ = sorted(world.root.glob("accounts/*/objects/*/batches/*"))
        kept = one.read_bytes()
        one.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        other.write_bytes(kept)
        following = world.again()
        assert await indexing.resume_indexing(following.deps, [A]) == 1
        await following.deps.tasks.settle()
        (large,) = (await documents.list_documents(following.deps, ALICE)).documents
        calls = [*world.embedder.calls, *following.embedder.calls]
        assert sum(count for _, count, _ in calls) == large.passages + 2 * 64
        found = await titles(following, ALICE, "matter of word130", top_k=1)
        assert found == ["Large"]
        following.partitions.close()

    played(scene)


def test_what_passes_is_waited_out_batch_by_batch(played, monkeypatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(patience, "BACKGROUND_PAUSE_S", 0.0)
        embed, turn = world.embedder.embed, [0]

        async def throttled(*given: Any) -> Any:
            turn[0] += 1
            if turn[0] % 3:
                raise UpstreamThrottled()
            return await embed(*given)

        world.embedder.embed = throttled
        large = await add(world, text("Large", LARGE))
        await world.deps.tasks.settle()
        assert (await shown(world, large)).status is DocumentState.READY

    played(scene)


def test_one_tenant_cannot_have_all_places() -> None:
    async def run() -> None:
        tasks, go = IndexingTasks(tasks_max=5, tasks_of_one_max=3), asyncio.Event()

        async def work() -> None:
            await go.wait()

        for _ in range(3):
            tasks.start(work(), "w", "a")
        with pytest.raises(ConcurrencyLimited) as caught:
            tasks.start(work(), "w", "a")
        assert caught.value.limit == TASKS_LIMIT
        for _ in range(2):
            tasks.start(work(), "w", "b")
        with pytest.raises(Unavailable):
            tasks.start(work(), "w", "b")
        go.set()
        await tasks.settle()
        assert not tasks.full("a")

    asyncio.run(run())
