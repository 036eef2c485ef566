"""The same small upload sent again while it is taken in: nobody hears of what is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.documents import ALICE, BOB, A, Scene, World, text, titles

from tenantry.application import documents, indexing, ingestion, patience
from tenantry.application.ingestion import Ingested
from tenantry.domain.document import DocumentState
from tenantry.domain.errors import BudgetExceeded, NotFound

Send = Callable[[], Awaitable[Ingested]]


async def twice(world: World, send: Send, *, refused: int) -> list[Any]:
    """Two requests of the same, the second while the first is embedded; so many are refused."""
    reached, go = asyncio.Event(), asyncio.Event()
    embed, left = world.embedder.embed, [refused]

    async def held(*given: Any) -> Any:
        reached.set()
        await go.wait()
        if left[0]:
            left[0] -= 1
            raise BudgetExceeded()
        return await embed(*given)

    world.embedder.embed = held
    first = asyncio.create_task(send())
    await reached.wait()
    second = asyncio.create_task(send())
    _, waiting = await asyncio.wait([second], timeout=0.2)
    assert waiting, "what may yet be taken back is not told of"
    go.set()
    said = await asyncio.gather(first, second, return_exceptions=True)
    world.embedder.embed = embed
    return said


async def all_of(world: World, who: Any = ALICE) -> list[Any]:
    return list((await documents.list_documents(world.deps, who)).documents)


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_an_upload(refused: int, played: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await ingestion.ingest(world.deps, BOB, text("T", "apples"))
        said = await twice(
            world, lambda: ingestion.ingest(world.deps, ALICE, text("T", "apples")), refused=refused
        )
        done = [one for one in said if isinstance(one, Ingested)]
        assert [type(one) for one in said[:refused]] == [BudgetExceeded] * refused
        assert len(done) == 2 - refused
        assert all(one.document.status is DocumentState.READY for one in done)
        assert [one.created for one in done] == [True, False][: len(done)]
        assert len(await all_of(world)) == await world.originals(A) == min(1, len(done))
        assert len(await all_of(world, BOB)) == 1

    played(scene)


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_replacement(refused: int, played: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        old = (await ingestion.ingest(world.deps, ALICE, text("Old", "apples"))).document

        def send() -> Awaitable[Ingested]:
            return ingestion.replace_document(world.deps, ALICE, old.id, text("New", "plums"))

        said = await twice(world, send, refused=refused)
        done = [one for one in said if isinstance(one, Ingested)]
        assert [type(one) for one in said[:refused]] == [BudgetExceeded] * refused
        assert [one.document.card.title for one in done] == ["New"] * (2 - refused)
        assert all(one.document.replacement is None for one in done)
        (now,) = await all_of(world)
        assert now.card.title == ("New" if done else "Old")
        assert await titles(world, ALICE, "plums", top_k=1) == [now.card.title]
        assert await world.originals(A) == 1

    played(scene)


def held_up(world: World) -> tuple[asyncio.Event, asyncio.Event, list[bool]]:
    """Embedding begins, and goes on when told to; refused where the list says so."""
    reached, go, refused = asyncio.Event(), asyncio.Event(), [False]
    embed = world.embedder.embed

    async def held(*given: Any) -> Any:
        reached.set()
        await go.wait()
        if refused[0]:
            raise BudgetExceeded()
        return await embed(*given)

    world.embedder.embed = held
    return reached, go, refused


@pytest.mark.parametrize("refused", [False, True])
def test_who_waits_too_long_is_told_of_a_document_that_is_indexing(
    refused: bool, played: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "SAME_UPLOAD_WAIT_S", 0.1)

    async def scene(world: World) -> None:
        await ingestion.ingest(world.deps, BOB, text("T", "apples"))
        reached, go, refuses = held_up(world)
        refuses[0] = refused
        upload = text("T", "apples")
        first = asyncio.create_task(ingestion.ingest(world.deps, ALICE, upload))
        await reached.wait()
        told = await ingestion.ingest(world.deps, ALICE, upload)
        assert (told.created, told.document.status) == (False, DocumentState.INDEXING)
        go.set()
        if refused:
            with pytest.raises(BudgetExceeded):
                await first
            with pytest.raises(NotFound):
                await documents.get_document(world.deps, ALICE, told.document.id)
        else:
            done = (await first).document
            assert (done.id, done.status) == (told.document.id, DocumentState.READY)

    played(scene)


def test_after_a_crash_it_is_told_of_the_document_that_another_process_finishes(
    played: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "SAME_UPLOAD_WAIT_S", 0.1)

    async def scene(world: World) -> None:
        monkeypatch.setattr(patience, "LEASE_S", 0.5)
        reached, _, _ = held_up(world)
        upload = text("T", "apples")
        first = asyncio.create_task(ingestion.ingest(world.deps, ALICE, upload))
        await reached.wait()
        first.cancel()
        await world.deps.tasks.close()
        following = world.again()
        told = await ingestion.ingest(following.deps, ALICE, upload)
        assert told.document.status is DocumentState.INDEXING
        await asyncio.sleep(0.5)
        assert await indexing.resume_indexing(following.deps, [A]) == 1
        await following.deps.tasks.settle()
        assert await titles(following, ALICE, "apples") == ["T"]
        again = await ingestion.ingest(following.deps, ALICE, upload)
        assert (again.document.id, again.created) == (told.document.id, False)
        following.partitions.close()

    played(scene)


def test_few_wait_and_the_others_are_told_at_once(
    played: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "WAITING_OF_ONE_MAX", 2)

    async def scene(world: World) -> None:
        reached, go, _ = held_up(world)
        upload = text("T", "apples")
        sent = [asyncio.create_task(ingestion.ingest(world.deps, ALICE, upload)) for _ in range(5)]
        await reached.wait()
        told, waiting = await asyncio.wait(sent, timeout=0.5)
        assert (len(told), len(waiting)) == (2, 3), "the first, and two that wait for it"
        assert {one.result().document.status for one in told} == {DocumentState.INDEXING}
        assert world.deps.waiting.total() == 2
        other = asyncio.create_task(ingestion.ingest(world.deps, BOB, upload))
        go.set()
        said = await asyncio.gather(*waiting, other)
        assert {one.document.status for one in said} == {DocumentState.READY}
        assert len(await all_of(world)) == len(await all_of(world, BOB)) == 1
        assert not world.deps.waiting

    played(scene)
