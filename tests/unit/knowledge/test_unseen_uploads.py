"""An upload tells its caller of no document that the caller does not see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.documents import ALICE, BOB, A, Scene, World, text, titles

from tenantry.application import documents, ingestion
from tenantry.application.ingestion import NOBODY, Caller, Ingested
from tenantry.domain.document import DocumentState
from tenantry.domain.errors import Conflict, NotFound
from tenantry.domain.upload import Upload

HR, SALES = (Caller(groups=frozenset({name})) for name in ("hr", "sales"))
ANN, BEN = (Caller(user, SALES.groups) for user in ("ann", "ben"))
PAY = text("Pay", "apples are paid for", access=["hr"])
OPEN = text("Open", "apples are for all")


async def send(world: World, caller: Caller, upload: Upload = PAY, who: Any = ALICE) -> Ingested:
    return await ingestion.ingest(world.deps, who, upload, caller=caller)


async def put(world: World, of: str, caller: Caller, upload: Upload) -> Ingested:
    return await ingestion.replace_document(world.deps, ALICE, of, upload, caller=caller)


@pytest.mark.parametrize("other", [NOBODY, SALES, ANN], ids=["nobody", "sales", "ann"])
def test_who_does_not_see_a_document_has_one_of_its_own(
    other: Caller, played: Callable[[Scene], None]
) -> None:
    async def scene(world: World) -> None:
        theirs = (await send(world, HR)).document
        bob_s = (await send(world, HR, who=BOB)).document
        own = await send(world, other)
        assert own.created
        assert own.document.id != theirs.id
        assert own.document.created_at > theirs.created_at
        for _ in range(2):
            again = await send(world, other)
            assert (again.created, again.document.id) == (False, own.document.id)
            again = await send(world, HR)
            assert (again.created, again.document.id) == (False, theirs.id)
            again = await send(world, HR, who=BOB)
            assert (again.created, again.document.id) == (False, bob_s.id)
        with pytest.raises(NotFound):
            await documents.get_document(world.deps, ALICE, theirs.id, groups=other.groups)
        assert await titles(world, ALICE, "apples", groups=other.groups) == []
        assert await world.originals(A) == 2
        assert (await send(world, other, who=BOB)).created

    played(scene)


def test_users_who_see_neither_are_not_told_of_one_another(
    played: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        sent = [await send(world, caller) for caller in (ANN, BEN, SALES, NOBODY)]
        assert [one.created for one in sent] == [True] * 4
        assert len({one.document.id for one in sent}) == 4

    played(scene)


def test_who_sees_a_document_is_told_of_it_whoever_they_are(
    played: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        both = Caller("cleo", HR.groups | SALES.groups)
        first = await send(world, HR)
        assert (await send(world, both)).document.id == first.document.id
        shared = [(await send(world, c, OPEN)).document.id for c in (HR, NOBODY, ANN, both)]
        assert len(set(shared)) == 1

    played(scene)


def test_of_uploads_at_once_each_caller_has_one_document(played: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        callers = [HR, SALES, ANN] * 4
        sent = await asyncio.gather(
            *(send(world, caller) for caller in callers), *(send(world, HR, who=BOB),) * 1
        )
        ids: dict[Caller, set[str]] = {}
        for caller, one in zip(callers, sent, strict=False):
            assert one.document.status is DocumentState.READY
            ids.setdefault(caller, set()).add(one.document.id)
        assert [len(found) for found in ids.values()] == [1, 1, 1]
        assert len(set.union(*ids.values())) == 3
        assert sum(one.created for one in sent[:-1]) == 3
        assert sent[-1].created

    played(scene)


def test_a_replacement_is_not_refused_for_a_document_that_its_caller_does_not_see(
    played: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        theirs = (await send(world, HR)).document
        mine = (await send(world, SALES, OPEN)).document
        done = await put(world, mine.id, SALES, PAY)
        assert (done.created, done.document.id) == (True, mine.id)
        assert await titles(world, ALICE, "apples", groups=HR.groups) == ["Pay", "Pay"]
        other = (await send(world, HR, text("Other", "plums"))).document
        with pytest.raises(Conflict, match=theirs.id):
            await put(world, other.id, HR, PAY)

    played(scene)


def test_what_is_to_replace_a_hidden_document_does_not_tell_of_it(
    played: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        hidden = (await send(world, HR)).document
        mine = (await send(world, SALES, text("Mine", "plums"))).document
        reached, go, embed = asyncio.Event(), asyncio.Event(), world.embedder.embed

        async def held(*given: Any) -> Any:
            if not reached.is_set():
                reached.set()
                await go.wait()
            return await embed(*given)

        world.embedder.embed = held  # type: ignore[method-assign]
        opening = asyncio.create_task(put(world, hidden.id, HR, OPEN))
        await reached.wait()
        own = await send(world, SALES, OPEN)
        assert own.created
        assert own.document.id != hidden.id
        assert (await put(world, mine.id, ANN, OPEN)).document.id == mine.id
        go.set()
        assert (await opening).document.id == hidden.id
        assert (await send(world, SALES, OPEN)).document.id == hidden.id, "all see it now"

    played(scene)
