"""The same small upload sent again while it is taken in: nobody hears of what is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.knowledge.test_documents import ALICE, BOB, A, World, played, text, titles

from tenantry.application import documents, ingestion
from tenantry.application.ingestion import Ingested
from tenantry.domain.document import DocumentState
from tenantry.domain.errors import BudgetExceeded, Conflict

__all__ = ["played"]
Scene = Callable[[World], Awaitable[None]]
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


def test_it_is_not_waited_for_without_end(
    played: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "SAME_UPLOAD_WAIT_S", 0.1)

    async def scene(world: World) -> None:
        reached, go = asyncio.Event(), asyncio.Event()
        embed = world.embedder.embed

        async def held(*given: Any) -> Any:
            reached.set()
            await go.wait()
            return await embed(*given)

        world.embedder.embed = held
        upload = text("T", "apples")
        first = asyncio.create_task(ingestion.ingest(world.deps, ALICE, upload))
        await reached.wait()
        with pytest.raises(Conflict, match="ask again"):
            await ingestion.ingest(world.deps, ALICE, upload)
        go.set()
        assert (await first).document.status is DocumentState.READY

    played(scene)
