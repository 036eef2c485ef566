"""A PDF that is read only in part is ready, and says how many of its pages held no text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support import hostile_files as hostile
from tests.support import knowledge_files as files
from tests.support.documents import ALICE, BOB, A, B, Scene, World, add, held, put, shown, text
from tests.support.page_files import COVER, NAMELESS, SCANNED, pages_of, upload

from tenantry.application import documents, indexing, ingestion, patience
from tenantry.domain.document import Document, DocumentState, PageCount
from tenantry.domain.upload import READY_AT_ONCE_BYTES
from tenantry.entrypoints.http.knowledge.views import from_document


def damaged() -> bytes:
    """Two pages; the stream of the second does not begin as its filter wants it to."""
    kids = b"<< /Type /Pages /Kids [3 0 R 5 0 R] /Count 2 >>"
    page = (
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources << "
        "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
    )
    stream = b"<< /Length %d %s>>\nstream\n%s\nendstream"
    broken = b"\xff" * 64
    return hostile.pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            kids,
            (page % 4).encode(),
            stream % (len(COVER), b"", COVER),
            (page % 6).encode(),
            stream % (len(broken), b"/Filter /FlateDecode ", broken),
        ]
    )


def nameless() -> bytes:
    """Two pages of one font that names one of its two characters: the second has the other."""
    table = NAMELESS % "/ToUnicode 7 0 R"
    drawn = [b"BT /F1 12 Tf 50 700 Td <%s> Tj ET" % (10 * code) for code in (b"0002", b"0003")]
    return pages_of(drawn, table)


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (SCANNED, PageCount(6, 5)),
        (damaged(), PageCount(2, 1)),
        (nameless(), PageCount(2, 1)),
        (files.pdf("apples", "pears"), PageCount(2, 0)),
    ],
    ids=["scanned", "damaged", "nameless", "whole"],
)
def test_a_document_says_which_of_its_pages_held_no_text(
    data: bytes, pages: PageCount, played: Callable[[Scene], None]
) -> None:
    def told(document: Document) -> tuple[Any, Any]:
        view = from_document(document)
        return view["pages"], view["pages_without_text"]

    async def scene(world: World) -> None:
        wanted = (pages.total, pages.without_text)
        made = await add(world, upload(data))
        assert (made.status, told(made)) == (DocumentState.READY, wanted)
        again = await ingestion.ingest(world.deps, ALICE, upload(data))
        assert (again.created, told(again.document)) == (False, wanted)
        assert told(await shown(world, made)) == wanted
        (listed,) = (await documents.list_documents(world.deps, ALICE)).documents
        assert told(listed) == wanted
        of_bob = await add(world, text("B", "pears of b"), BOB)
        assert told(of_bob) == (None, None), "no PDF"
        assert (await documents.list_documents(world.deps, BOB)).documents == [of_bob]

    played(scene)


def test_a_version_brings_its_own_pages(played: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        made = await add(world, upload(SCANNED))
        await add(world, upload(SCANNED), BOB)
        whole = await put(world, made, upload(files.pdf("pears")))
        assert whole.document.pages == PageCount(1, 0)
        plain = await put(world, made, text("T", "plums"))
        assert plain.document.pages is None
        assert (await shown(world, made)).pages is None
        (of_bob,) = (await documents.list_documents(world.deps, BOB)).documents
        assert of_bob.pages == PageCount(6, 5)

    played(scene)


def test_who_takes_over_a_dead_process_s_document_tells_its_pages(
    played: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    large = SCANNED + b"\n%" + READY_AT_ONCE_BYTES * b"x"

    async def scene(world: World) -> None:
        monkeypatch.setattr(patience, "LEASE_S", 0.0)
        started, _ = held(world)
        made = await add(world, upload(large))
        await started.wait()
        await world.deps.tasks.close()
        following = world.again()
        assert await indexing.resume_indexing(following.deps, [A, B]) == 1
        await following.deps.tasks.settle()
        after = await shown(following, made)
        assert (after.status, after.pages) == (DocumentState.READY, PageCount(6, 5))

    played(scene)
