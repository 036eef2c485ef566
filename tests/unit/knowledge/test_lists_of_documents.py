"""What a list costs and says: no originals, no more than is asked, and no word of hidden ones."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.documents import ALICE, BOB, A, B, Scene, World, text

from tenantry.application import documents, ingestion, tending
from tenantry.domain.document import READ_WHOLE_BYTES_MAX, DocumentState, Home
from tenantry.domain.errors import BudgetExceeded
from tenantry.domain.upload import Upload, upload_from_file
from tenantry.ports.objects import ObjectKind, Objects

LARGE_BYTES = 3 * READ_WHOLE_BYTES_MAX


class Counted:
    """The real store, and how many bytes of which kind were read from it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.read: dict[ObjectKind, int] = {}

    async def get(self, home: Home, kind: ObjectKind, object_id: str) -> bytes:
        data = await self._objects.get(home, kind, object_id)
        self.read[kind] = self.read.get(kind, 0) + len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scene], None]:
    """Where what is larger than a list reads is indexed after its answer."""
    monkeypatch.setattr(ingestion, "READY_AT_ONCE_BYTES", READ_WHOLE_BYTES_MAX)

    def play(scene: Scene) -> None:
        async def run() -> None:
            world = World(tmp_path)
            world.deps = dataclasses.replace(world.deps, objects=Counted(world.deps.objects))
            try:
                await scene(world)
            finally:
                await world.deps.tasks.close()
                world.partitions.close()

        asyncio.run(run())

    return play


def page_of_comments(number: int, **more: Any) -> Upload:
    """A large original with a few words of text."""
    html = f"<html><body><p>word{number}</p><!--{'x' * LARGE_BYTES}--></body></html>"
    return upload_from_file(
        html.encode(), content_type="text/html", file_name=f"{number}.html", **more
    )


async def failed(world: World, who: Any, count: int, **more: Any) -> None:
    embed = world.embedder.embed

    async def refused(*_: Any) -> Any:
        raise BudgetExceeded("Spent.", limit="month")

    world.embedder.embed = refused  # type: ignore[method-assign]
    for number in range(count):
        await ingestion.ingest(world.deps, who, page_of_comments(number, **more))
        await world.deps.tasks.settle()
        await asyncio.sleep(0.002)  # ids sort by millisecond
    world.embedder.embed = embed  # type: ignore[method-assign]


async def stored(world: World, owner: Any, kind: ObjectKind) -> int:
    return len(await world.deps.objects.list(support.home(owner), kind))


def test_a_list_of_failed_documents_opens_no_original(played: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        for who in (ALICE, BOB):
            await failed(world, who, 3)
        world.deps.objects.read.clear()
        page = await documents.list_documents(world.deps, ALICE, limit=1)
        assert [item.status for item in page.documents] == [DocumentState.FAILED]
        assert page.documents[0].card.title == "2.html"
        page = await documents.list_documents(world.deps, ALICE)
        assert [item.card.file_name for item in page.documents] == ["2.html", "1.html", "0.html"]
        assert page.next_cursor is None
        got = await documents.get_document(world.deps, ALICE, page.documents[0].id)
        assert got == page.documents[0]
        assert sum(world.deps.objects.read.values()) < READ_WHOLE_BYTES_MAX
        assert [await stored(world, who, ObjectKind.CARD) for who in (A, B)] == [3, 3]
        content = await documents.document_content(world.deps, ALICE, got.id)
        assert content.data == page_of_comments(2).data

    played(scene)


def test_a_card_beside_goes_with_its_original(played: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        for who in (ALICE, BOB):
            await failed(world, who, 2)
        old, new = reversed((await documents.list_documents(world.deps, ALICE)).documents)
        await documents.delete_document(world.deps, ALICE, old.id)
        assert await stored(world, A, ObjectKind.CARD) == 1
        upload = page_of_comments(7)
        await ingestion.ingest(world.deps, ALICE, upload)
        await world.deps.tasks.settle()
        assert await stored(world, A, ObjectKind.CARD) == 2
        await ingestion.replace_document(world.deps, ALICE, new.id, page_of_comments(8))
        await world.deps.tasks.settle()
        assert await stored(world, A, ObjectKind.CARD) == 2
        home = support.home(A)
        await world.deps.objects.put(home, ObjectKind.CARD, "orphan", b"x")
        swept = tending.sweep_orphans(
            home, world.deps.objects, world.manifest, support.ours, age_s=0.0
        )
        assert await swept == 1
        assert await stored(world, A, ObjectKind.CARD) == 2
        for item in (await documents.list_documents(world.deps, ALICE)).documents:
            await documents.delete_document(world.deps, ALICE, item.id)
        assert await stored(world, A, ObjectKind.CARD) == 0
        assert await stored(world, A, ObjectKind.ORIGINAL) == 0
        assert await stored(world, B, ObjectKind.CARD) == 2

    played(scene)


def test_documents_of_before_are_listed_within_a_bound(
    played: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing rests beside their originals: a call opens some, and the next one goes on."""
    monkeypatch.setattr(documents, "READ_BYTES_MAX", 2 * LARGE_BYTES, raising=False)

    async def scene(world: World) -> None:
        for who, count in ((ALICE, 4), (BOB, 1)):
            await failed(world, who, count)
            home = support.home(who.tenant)
            rows = await world.manifest.documents(home.tenant_id, None, 9)
            for row in rows:
                await world.deps.objects.delete(home, ObjectKind.CARD, row.original_id)
                of_before = dataclasses.replace(row, card_bytes=0)
                world.manifest._of(home.tenant_id).rows[row.id] = of_before
        seen: list[str] = []
        cursor, calls = None, 0
        while not calls or cursor is not None:
            world.deps.objects.read.clear()
            page = await documents.list_documents(world.deps, ALICE, cursor=cursor)
            assert sum(world.deps.objects.read.values()) < 3.1 * LARGE_BYTES
            seen += [item.card.title for item in page.documents]
            cursor, calls = page.next_cursor, calls + 1
        assert seen == [f"{n}.html" for n in (3, 2, 1, 0)]
        (first,) = (await documents.list_documents(world.deps, ALICE, limit=1)).documents
        await documents.delete_document(world.deps, ALICE, first.id)
        assert await stored(world, A, ObjectKind.ORIGINAL) == 3

    played(scene)


def test_a_cursor_says_nothing_of_documents_that_nobody_here_may_see(
    played: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        for who in (ALICE, BOB):
            hidden = {"access": ["board"]} if who is ALICE else {}
            for number in range(3):
                await ingestion.ingest(world.deps, who, text(f"H{number}", f"h{number}", **hidden))
                await asyncio.sleep(0.002)
            for number in range(2):
                await ingestion.ingest(world.deps, who, text(f"V{number}", f"v{number}"))
                await asyncio.sleep(0.002)
        page = await documents.list_documents(world.deps, ALICE, limit=2)
        assert [item.card.title for item in page.documents] == ["V1", "V0"]
        assert page.next_cursor is None, "the three that follow are the board's"
        page = await documents.list_documents(world.deps, ALICE, limit=1)
        assert page.next_cursor == page.documents[0].id
        board = frozenset({"board"})
        page = await documents.list_documents(world.deps, ALICE, groups=board, limit=2)
        assert page.next_cursor is not None
        rest = await documents.list_documents(
            world.deps, ALICE, groups=board, cursor=page.next_cursor, limit=3
        )
        assert [item.card.title for item in rest.documents] == ["H2", "H1", "H0"]
        assert rest.next_cursor is None
        assert (await documents.list_documents(world.deps, BOB, limit=2)).next_cursor is not None

    played(scene)


def test_a_call_looks_at_so_many_documents_and_then_says_that_it_does_not_know(
    played: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "SCANNED_MAX", 4)

    async def scene(world: World) -> None:
        await ingestion.ingest(world.deps, ALICE, text("Last", "last"))
        for number in range(12):
            await asyncio.sleep(0.002)
            await ingestion.ingest(
                world.deps, ALICE, text(f"H{number}", f"h{number}", access=["board"])
            )
        await ingestion.ingest(world.deps, BOB, text("Own", "own"))
        seen: list[str] = []
        cursor, calls = None, 0
        while not calls or cursor is not None:
            page = await documents.list_documents(world.deps, ALICE, cursor=cursor, limit=1)
            seen += [item.card.title for item in page.documents]
            cursor, calls = page.next_cursor, calls + 1
        assert seen == ["Last"]
        assert 1 < calls <= 4
        page = await documents.list_documents(world.deps, BOB)
        assert [item.card.title for item in page.documents] == ["Own"]

    played(scene)
