"""A reindex of one tenant beside another, over PostgreSQL and sealed segments: live, resumable,
paused and cancelled without a trace."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.postgres import Database
from tests.support.reindexes import (
    ALICE,
    BOB,
    LARGE,
    NEW,
    OLD,
    A,
    B,
    LateMerges,
    Process,
    is_tidy,
    process,
    publish_next,
    segments,
    until,
)

from tenantry.application import documents, patience, reindexing
from tenantry.domain.chunk import ChunkLimit
from tenantry.domain.document import Progress, home_of
from tenantry.domain.errors import BudgetExceeded, Conflict, NotFound, Unavailable
from tenantry.domain.space import Space, space_of_pin
from tenantry.ports.reindexing import ReindexState


def test_searches_are_answered_from_one_index_or_the_other(played) -> None:
    async def scene(one: Process) -> None:
        for number in range(5):
            await one.upload(ALICE, f"T{number}", f"apples number{number}")
        await one.upload(BOB, "B", "apples of b")
        before = await segments(one, ALICE)
        reached, go = one.held(NEW)
        begun = await one.start(ALICE)
        assert (begun.state, begun.api_key_id) == (ReindexState.RUNNING, ALICE.api_key_id)
        await reached.wait()
        assert (await one.start(ALICE)).id == begun.id, "it runs already"
        with pytest.raises(Conflict):
            await one.start(ALICE, Space("test.words-v3", 64))
        for _ in range(3):
            assert len(await one.found(ALICE, "apples number3")) == 5
        assert one.embedder.spaces[-1] == OLD
        spaces = await one.deps.manifest.spaces(A.id)
        assert (spaces.live, spaces.next) == (OLD, NEW)
        assert (await one.state(ALICE)).documents == Progress(0, 5)
        go.set()
        await one.deps.tasks.settle()
        done = await one.state(ALICE)
        assert (done.state, done.documents, done.passages) == (
            ReindexState.DONE,
            Progress(5, 5),
            Progress(5, 5),
        )
        spaces = await one.deps.manifest.spaces(A.id)
        assert (spaces.live, spaces.next) == (NEW, None)
        assert (await one.found(ALICE, "apples number3"))[0] == "apples number3"
        assert one.embedder.spaces[-1] == NEW
        assert one.embedded(NEW) == 5
        assert (await one.deps.manifest.spaces(B.id)).live == OLD
        assert await one.found(BOB, "apples") == ["apples of b"]
        with pytest.raises(NotFound):
            await one.state(BOB)
        await one.upload(ALICE, "later", "pears come later")
        assert one.embedder.spaces[-1] == NEW, "the index decides, not the plan"
        with pytest.raises(Conflict, match="already"):
            await one.start(ALICE)
        await is_tidy(one, ALICE)
        assert not before & await segments(one, ALICE), "the old index is swept"

    played(scene)


def test_what_changes_meanwhile_is_carried_over(played) -> None:
    async def scene(one: Process) -> None:
        ids = [await one.upload(ALICE, f"T{n}", f"apples word{n}") for n in range(4)]
        reached, go = one.held(NEW)
        await one.start(ALICE)
        await reached.wait()
        await documents.delete_document(one.deps, ALICE, ids[0])
        await one.replace(ALICE, ids[1], "apples replaced")
        await one.upload(ALICE, "new", "apples uploaded")
        expected = {"apples replaced", "apples uploaded", "apples word2", "apples word3"}
        assert set(await one.found(ALICE, "apples")) == expected, "searched at once"
        go.set()
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.DONE
        assert set(await one.found(ALICE, "apples")) == expected
        assert one.embedder.spaces[-1] == NEW
        await is_tidy(one, ALICE)

    played(scene)


def test_a_version_that_comes_after_its_document_was_carried_over_is_carried_over_too(
    played,
) -> None:
    async def scene(one: Process) -> None:
        first = await one.upload(ALICE, "first", "apples first")
        await one.upload(ALICE, "second", LARGE)
        reindexes = one.reindexing._reindexes
        switch, reached, go = reindexes.switch, asyncio.Event(), asyncio.Event()

        async def late(*given: Any, **named: Any) -> Any:
            reached.set()
            await go.wait()
            return await switch(*given, **named)

        reindexes.switch = late  # type: ignore[method-assign]
        await one.start(ALICE)
        await reached.wait()
        await one.replace(ALICE, first, "apples again")
        go.set()
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.DONE
        assert (await one.found(ALICE, "apples again"))[0] == "apples again"
        await is_tidy(one, ALICE)

    played(scene)


def test_whoever_takes_over_embeds_at_most_one_batch_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id)
        async with process(database, tmp_path) as one:
            await one.upload(ALICE, "small", "apples")
            await one.upload(ALICE, "large", LARGE)
            total = sum(count for _, count, kind in one.embedder.calls if kind == "document")
            monkeypatch.setattr(patience, "LEASE_S", 0.0)
            calls, embed = 0, one.embedder.embed

            async def third_never_ends(*given: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == 4:
                    await asyncio.Event().wait()
                return await embed(*given)

            one.embedder.embed = third_never_ends  # type: ignore[method-assign]
            await one.start(ALICE)
            await until(lambda: calls >= 4)
            shown = await one.state(ALICE)
            assert shown.passages == Progress(1 + 2 * 64, total)
            done = one.embedded(NEW)
        monkeypatch.setattr(patience, "LEASE_S", 60.0)
        async with process(database, tmp_path) as other:
            assert await other.reindexing.resume([A, B]) == 1
            assert await other.reindexing.resume([A, B]) == 0
            await other.deps.tasks.settle()
            assert (await other.state(ALICE)).state is ReindexState.DONE
            assert done + other.embedded(NEW) == total
            assert await other.found(ALICE, "apples")
            assert "word150." in (await other.found(ALICE, "Paragraph 150 of word150"))[0]
            await is_tidy(other, ALICE)

    asyncio.run(run())


def test_a_spent_budget_pauses_it_and_the_same_command_goes_on(played) -> None:
    async def scene(one: Process) -> None:
        await one.upload(ALICE, "large", LARGE)
        await one.upload(ALICE, "small", "apples")
        embed, left = one.embedder.embed, [2]

        async def until_spent(*given: Any) -> Any:
            if given[2] == "document" and not left[0]:
                raise BudgetExceeded()
            left[0] -= given[2] == "document"
            return await embed(*given)

        one.embedder.embed = until_spent  # type: ignore[method-assign]
        await one.start(ALICE)
        await one.deps.tasks.settle()
        paused = await one.state(ALICE)
        assert (paused.state, paused.failure) == (ReindexState.PAUSED, "budget_exceeded")
        assert paused.passages.done == 128
        assert await one.found(ALICE, "apples"), "the old index is whole"
        assert one.embedder.spaces[-1] == OLD
        spaces = await one.deps.manifest.spaces(A.id)
        assert (spaces.live, spaces.next) == (OLD, None), "no query is planned for it"
        assert await one.reindexing.resume([A]) == 0, "until somebody pays"
        with pytest.raises(Conflict):
            await one.start(ALICE, Space("test.words-v3", 64))
        left[0] = 1_000
        again = await one.start(ALICE)
        assert (again.id, again.request_id) == (paused.id, paused.request_id)
        await one.deps.tasks.settle()
        done = await one.state(ALICE)
        assert done.state is ReindexState.DONE
        assert one.embedded(NEW) == done.passages.total, "nothing is paid for twice"
        await is_tidy(one, ALICE)

    played(scene)


def test_a_cancelled_one_leaves_nothing(played) -> None:
    async def scene(one: Process) -> None:
        for number in range(3):
            await one.upload(ALICE, f"T{number}", f"apples word{number}")
        await one.upload(ALICE, "large", LARGE)
        with pytest.raises(NotFound):
            await one.reindexing.cancel(ALICE)
        calls, embed, go = 0, one.embedder.embed, asyncio.Event()

        async def slow(*given: Any) -> Any:
            nonlocal calls
            calls += given[4] == NEW
            if calls == 3:
                await go.wait()
            return await embed(*given)

        one.embedder.embed = slow  # type: ignore[method-assign]
        await one.start(ALICE)
        await until(lambda: calls >= 3)
        with pytest.raises(NotFound):
            await one.reindexing.cancel(BOB)
        ended = await one.reindexing.cancel(ALICE)
        assert ended.state is ReindexState.CANCELLED
        go.set()
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.CANCELLED
        spaces = await one.deps.manifest.spaces(A.id)
        assert (spaces.live, spaces.next) == (OLD, None)
        assert len(await one.found(ALICE, "apples")) == 9
        await is_tidy(one, ALICE)
        assert (await one.start(ALICE, Space("test.words-v3", 64))).id != ended.id

    played(scene)


def test_a_query_that_is_under_way_at_the_switch_is_asked_again_in_the_new_index(played) -> None:
    async def scene(one: Process) -> None:
        await one.upload(ALICE, "T", "apples are red")
        search, moved = one.deps.vectors.search, []

        async def after_the_switch(*given: Any) -> Any:
            if not moved:
                moved.append(given)
                await one.start(ALICE)
                await one.deps.tasks.settle()
            return await search(*given)

        one.deps.vectors.search = after_the_switch  # type: ignore[method-assign]
        assert await one.found(ALICE, "apples") == ["apples are red"]
        assert list(one.embedder.spaces[-3:]) == [OLD, NEW, NEW]

    played(scene)


def test_the_switch_waits_for_uploads_and_takes_over_those_it_does_not_wait_for(
    played, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(one: Process) -> None:
        await one.upload(ALICE, "first", "apples are red")
        reached, go = one.held(OLD)
        monkeypatch.setattr(reindexing, "SWITCH_LOOK_EVERY_S", 0.01)
        waiting = asyncio.create_task(one.upload(ALICE, "second", "apples are green"))
        await reached.wait()
        await one.start(ALICE)
        await one.reaches(lambda shown: shown.documents.done == 1)
        await asyncio.sleep(0.05)
        assert (await one.state(ALICE)).state is ReindexState.RUNNING, "it would be paid for twice"
        go.set()
        await waiting
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.DONE
        assert one.embedded(NEW) == 2
        reached, go = one.held(NEW)
        monkeypatch.setattr(reindexing, "SWITCH_PATIENCE_S", 0.0)
        waiting = asyncio.create_task(one.upload(ALICE, "third", "apples are blue"))
        await reached.wait()
        third = Space("test.words-v3", 64)
        await one.start(ALICE, third)
        await one.reaches(lambda shown: shown.state is not ReindexState.RUNNING)
        go.set()
        await waiting
        assert len(await one.found(ALICE, "apples")) == 3
        assert one.embedder.spaces[-1] == third
        await is_tidy(one, ALICE)

    played(scene)


def test_a_merge_that_began_before_the_switch_takes_nothing_from_the_new_index(
    played, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(one: Process) -> None:
        for number in range(6):
            await one.upload(ALICE, f"T{number}", f"apples word{number}")
        manifest, reindexes = one.deps.manifest, one.reindexing._reindexes
        merge, switch, switched = manifest.merge, reindexes.switch, asyncio.Event()

        async def only_later(*given: Any, **how: Any) -> Any:
            async with asyncio.timeout(60):
                await switched.wait()
            return await switch(*given, **how)

        async def late(tenant: Any, sources: Any, segment: Any, edition: Any) -> bool:
            if edition == "next" and not switched.is_set():
                # What is still missing is published by hand, so that the switch can come first.
                for row in await reindexes.pending(tenant, None, 9):
                    card, chunks, _ = await one.deps.read(home_of(A), row, ChunkLimit())
                    vectors = [support.vector_of(c.text, 128, NEW.model) for c in chunks]
                    await publish_next(one, row, card, chunks, vectors)
                open_one = await one.state(ALICE)
                assert await switch(tenant, open_one.id, patient=False) == "done"
                switched.set()
            return await merge(tenant, sources, segment, edition)

        monkeypatch.setattr(reindexes, "switch", only_later)
        one.deps.vectors._manifest = LateMerges(manifest, late)  # type: ignore[attr-defined]
        await one.start(ALICE)
        await one.deps.tasks.settle()
        await support.settled(one.deps.vectors)
        assert switched.is_set(), "the next edition is merged too"
        for number in range(6):
            assert (await one.found(ALICE, f"word{number}"))[0] == f"apples word{number}"
        await is_tidy(one, ALICE)

    played(scene)


def test_an_engine_that_never_takes_a_document_is_not_paid_for_ever(played) -> None:
    async def scene(one: Process) -> None:
        document_id = await one.upload(ALICE, "T", "apples")

        async def nothing(*_: object) -> bool:
            return False

        publish, one.deps.vectors.publish = one.deps.vectors.publish, nothing  # type: ignore[method-assign]
        await one.start(ALICE)
        await one.deps.tasks.settle()
        paused = await one.state(ALICE)
        assert (paused.state, paused.failure) == (ReindexState.PAUSED, "conflict")
        assert paused.failed_document_id == document_id
        assert one.embedded(NEW) == 1
        one.deps.vectors.publish = publish  # type: ignore[method-assign]

    played(scene)


def test_vectors_in_another_engine_are_in_the_same_space() -> None:
    assert space_of_pin("pgvector/amazon.titan-embed-text-v2:0", 8).model == (
        "amazon.titan-embed-text-v2:0"
    )
    arn = "arn:aws:bedrock:us-east-1:1:provisioned-model/abc"
    assert space_of_pin(arn, 8) == Space(arn, 8)


def test_originals_out_of_reach_pause_it(played) -> None:
    async def scene(one: Process) -> None:
        await one.upload(ALICE, "T", "apples")
        with pytest.raises(NotFound):
            await one.state(ALICE)

        async def away(*_: object) -> Any:
            raise Unavailable()

        read, one.deps.objects.get = one.deps.objects.get, away
        patience_pause = patience.BACKGROUND_PAUSE_S
        patience.BACKGROUND_PAUSE_S = 0.0
        await one.start(ALICE)
        await one.deps.tasks.settle()
        patience.BACKGROUND_PAUSE_S = patience_pause
        paused = await one.state(ALICE)
        assert (paused.state, paused.failure) == (ReindexState.PAUSED, "unavailable")
        assert paused.failed_document_id is not None
        one.deps.objects.get = read
        await one.start(ALICE)
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.DONE

    played(scene)
