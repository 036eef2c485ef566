"""A document replaced by itself: what is embedded already is not embedded nor paid for again."""

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
    B,
    World,
    add,
    held,
    put,
    shown,
    stored,
    text,
    titles,
)

from tenantry.adapters.sealed import read_back
from tenantry.application import documents, indexing, ingestion, patience, retrieval
from tenantry.application.ingestion import Caller
from tenantry.domain.document import DocumentState, Progress
from tenantry.domain.envelope import SEGMENT_START_BYTES, Plane, unpack_segment
from tenantry.domain.errors import BudgetExceeded, Corrupt
from tenantry.domain.filter import filter_from
from tenantry.ports.objects import ObjectKind

HR = Caller(groups=frozenset({"hr"}))
PARTS = LARGE.split("\n\n")


def embedded(world: World, since: int = 0) -> list[str]:
    return [text for _, text in world.embedder.texts[since:]]


def refusing(world: World) -> None:
    """From now on nobody may embed a document."""
    embed = world.embedder.embed

    async def refused(*given: Any) -> Any:
        if given[2] == "document":
            raise BudgetExceeded()
        return await embed(*given)

    world.embedder.embed = refused


async def scores(world: World, who: Any, query: str) -> list[tuple[str, float, int, int]]:
    found = await retrieval.search(world.deps, who, query, top_k=50, groups=HR.groups)
    return [(hit.text, hit.score, hit.start, hit.end) for hit in found]


@pytest.mark.parametrize("body", ["apples are red", LARGE], ids=["small", "large"])
def test_what_is_said_of_a_document_changes_without_embedding_it(played, body: str) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("Old", body))
        theirs = await add(world, text("Old", body), BOB)
        await world.deps.tasks.settle()
        before = await scores(world, ALICE, "apples or word7")
        refusing(world)
        more = {"metadata": {"year": 2026}, "access": ["hr"]}
        assert (await put(world, old, text("New", body, **more), caller=HR)).created
        await world.deps.tasks.settle()
        row = await world.manifest.document(A.id, old.id)
        assert row.state is DocumentState.READY
        assert await world.manifest.by_content(A.id, row.content_hmac) == row
        assert await scores(world, ALICE, "apples or word7") == before
        assert await titles(world, ALICE, "apples", top_k=1) == []
        dated = {"where": filter_from({"year": 2026}), "groups": HR.groups, "top_k": 1}
        assert await titles(world, ALICE, "apples", **dated) == ["New"]
        assert await titles(world, BOB, "apples", top_k=1) == ["Old"]
        # Of another tenant nothing is carried over.
        with pytest.raises(BudgetExceeded):
            await add(world, text("Third", "apples are red"), BOB)
        assert theirs.id != old.id
        assert await stored(world, ObjectKind.BATCH) == 0

    played(scene)


def test_only_passages_that_change_are_embedded(played) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("Large", LARGE))
        await world.deps.tasks.settle()
        since = len(world.embedder.texts)
        changed = [*PARTS]
        changed[100] = "A paragraph on pears alone. " + "y" * 900
        del changed[700]
        await put(world, old, text("Large", "\n\n".join(changed)))
        await world.deps.tasks.settle()
        fresh = embedded(world, since)
        assert 1 <= len(fresh) <= 4
        after = await shown(world, old)
        assert after.progress == Progress(after.passages, after.passages)
        assert "pears" in (await scores(world, ALICE, "pears"))[0][0]
        assert not any("word700." in found for found, *_ in await scores(world, ALICE, "word700"))
        assert await stored(world, ObjectKind.BATCH) == 0

    played(scene)


def test_after_a_crash_what_is_carried_over_is_so_again(played, monkeypatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(patience, "LEASE_S", 0.0)
        old = await add(world, text("Large", LARGE))
        await world.deps.tasks.settle()
        since = len(world.embedder.texts)
        body = "\n\n".join([*PARTS[:600], *(f"New {n}. " + "z" * 900 for n in range(600))])
        reached, _ = held(world, at=3)
        await put(world, old, text("Half new", body))
        await reached.wait()
        await world.deps.tasks.close()
        assert await stored(world, ObjectKind.BATCH) == 2
        following = world.again()
        assert await indexing.resume_indexing(following.deps, [A, B]) == 1
        await following.deps.tasks.settle()
        (large,) = (await documents.list_documents(following.deps, ALICE)).documents
        assert (large.id, large.card.title) == (old.id, "Half new")
        fresh = [*embedded(world, since), *embedded(following)]
        assert len(fresh) == len(set(fresh)), "nothing is embedded twice"
        assert 600 <= len(fresh) <= 610
        assert await stored(following, ObjectKind.BATCH) == 0
        following.partitions.close()

    played(scene)


def test_what_cannot_be_read_back_is_embedded(played) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("T", "apples are red"))
        (segment,) = world.root.glob("accounts/*/objects/*/segments/*")
        sealed = bytearray(segment.read_bytes())
        header = unpack_segment(bytes(sealed[:SEGMENT_START_BYTES]), len(sealed))
        place = [entry.plane for entry in header.planes].index(Plane.PASSAGES)
        before = sum(entry.sealed_bytes for entry in header.planes[:place])
        sealed[header.packed_bytes + before] ^= 1
        segment.write_bytes(sealed)
        world.partitions.forget(A.id)
        with pytest.raises(Corrupt):
            await titles(world, ALICE, "apples")
        since = len(world.embedder.texts)
        assert (await put(world, old, text("U", "apples are red"))).created
        assert embedded(world, since) == ["apples are red"]
        assert await titles(world, ALICE, "apples") == ["U"]

    played(scene)


def test_a_document_that_goes_meanwhile_leaves_nothing(played, monkeypatch) -> None:
    async def scene(world: World) -> None:
        old = await add(world, text("T", "apples are red"))
        reached, go = asyncio.Event(), asyncio.Event()
        vectors_of = world.partitions.vectors_of

        async def slow(*given: Any) -> Any:
            found = await vectors_of(*given)
            reached.set()
            await go.wait()
            return found

        monkeypatch.setattr(world.partitions, "vectors_of", slow)
        putting = asyncio.create_task(put(world, old, text("U", "apples are red")))
        await reached.wait()
        await documents.delete_document(world.deps, ALICE, old.id)
        go.set()
        with pytest.raises(ingestion.NotFound):
            await putting
        assert await titles(world, ALICE, "apples") == []
        assert await world.originals(A) == 0
        await support.settled(world.partitions)
        assert await stored(world, ObjectKind.SEGMENT) == 0

    played(scene)


def test_a_document_is_read_back_in_turns(played, monkeypatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr("tenantry.adapters.sealed.partitions.ROWS_AT_ONCE", 100)
        monkeypatch.setattr(read_back, "ROWS_AT_ONCE", 100)
        old = await add(world, text("Large", LARGE))
        await world.deps.tasks.settle()
        refusing(world)
        await put(world, old, text("Renamed", LARGE))
        await world.deps.tasks.settle()
        assert (await shown(world, old)).card.title == "Renamed"

    played(scene)
