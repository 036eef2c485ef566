"""A reindex to the space that the documents are in: asked for, paid for, and the way out of a
segment format that is not read any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.reindexes import (
    ALICE,
    BOB,
    LARGE,
    NEW,
    OLD,
    A,
    Process,
    is_tidy,
    segments,
    until,
)

from tenantry.application import documents, ingestion
from tenantry.domain.document import DocumentState, IndexEdition, Progress
from tenantry.domain.envelope import RETIRED_SEGMENT_MAGICS, SEGMENT_MAGIC
from tenantry.domain.errors import Conflict, Corrupt, NotFound
from tenantry.domain.upload import upload_from_text
from tenantry.ports.reindexing import ReindexState


def rewrite(root: Path, names: set[str], change: Callable[[bytes], bytes]) -> None:
    """Objects at rest, behind everybody's back."""
    for name in names:
        (path,) = root.rglob(name)
        path.chmod(0o600)
        path.write_bytes(change(path.read_bytes()))


async def retire(one: Process, who: Any, root: Path) -> None:
    """All segments of one tenant as an earlier format began."""

    def earlier(content: bytes) -> bytes:
        assert content.startswith(SEGMENT_MAGIC)
        return RETIRED_SEGMENT_MAGICS[0] + content[len(SEGMENT_MAGIC) :]

    rewrite(root, await segments(one, who), earlier)
    one.deps.vectors.forget(who.tenant_id)  # type: ignore[attr-defined]


def kept_of(one: Process, content: bytes) -> Awaitable[Any]:
    return one.deps.manifest.batches(A.id, content, OLD)


@pytest.mark.parametrize("space", [OLD, None], ids=["named", "as it is"])
def test_the_same_space_is_built_anew_when_that_is_asked_for(played, space) -> None:
    async def scene(one: Process) -> None:
        for number in range(3):
            await one.upload(ALICE, f"T{number}", f"apples number{number}")
        await one.upload(BOB, "B", "apples of b")
        before, of_bob = await segments(one, ALICE), await segments(one, BOB)
        paid = one.embedded(OLD)
        with pytest.raises(Conflict, match=r"already\. `again` indexes them anew"):
            await one.start(ALICE, space)
        reached, go = one.held(OLD)
        begun = await one.start(ALICE, space, again=True)
        assert (begun.state, begun.space) == (ReindexState.RUNNING, OLD)
        await reached.wait()
        assert (await one.start(ALICE, space, again=True)).id == begun.id, "it runs already"
        with pytest.raises(Conflict):
            await one.start(ALICE, NEW, again=True)
        assert (await one.deps.query_spaces(ALICE)).next is None, "a query is embedded once"
        assert (await one.found(ALICE, "apples number1"))[0] == "apples number1"
        assert (await one.state(ALICE)).documents == Progress(0, 3)
        go.set()
        await one.deps.tasks.settle()
        done = await one.state(ALICE)
        assert (done.state, done.documents) == (ReindexState.DONE, Progress(3, 3))
        assert one.embedded(OLD) == paid + 3
        assert (await one.found(ALICE, "apples number1"))[0] == "apples number1"
        await is_tidy(one, ALICE)
        assert not before & await segments(one, ALICE)
        assert await segments(one, BOB) == of_bob
        with pytest.raises(NotFound):
            await one.state(BOB)
        assert (await one.start(ALICE, space, again=True)).id != begun.id
        await one.deps.tasks.settle()
        assert one.embedded(OLD) == paid + 6, "each time that it is asked for"

    played(scene)


def test_where_no_document_ever_was_there_is_nothing_to_index_again(played) -> None:
    async def scene(one: Process) -> None:
        await one.upload(BOB, "B", "apples of b")
        with pytest.raises(Conflict, match="nothing to reindex"):
            await one.start(ALICE, None, again=True)

    played(scene)


def test_an_upload_under_way_in_the_same_space_keeps_what_it_has_paid_for(played) -> None:
    """Neither counted as the reindex's own, nor forgotten when that is cancelled."""

    async def scene(one: Process) -> None:
        await one.upload(ALICE, "small", "apples")
        embed, go, calls = one.embedder.embed, asyncio.Event(), 0

        async def third_waits(*given: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:
                await go.wait()
            return await embed(*given)

        one.embedder.embed = third_waits  # type: ignore[method-assign]
        body = upload_from_text({"title": "large", "text": LARGE})
        upload = asyncio.create_task(ingestion.ingest(one.deps, ALICE, body))
        await until(lambda: calls >= 3)
        (large,) = [
            row
            for row in await one.deps.manifest.documents(A.id, None, 9)
            if row.state is DocumentState.INDEXING
        ]
        assert sum(batch.passages for batch in await kept_of(one, large.content_hmac)) == 128
        reached, held = one.held(OLD)
        await one.start(ALICE, OLD, again=True)
        await reached.wait()
        assert (await one.state(ALICE)).passages == Progress(0, 1)
        assert (await one.reindexing.cancel(ALICE)).state is ReindexState.CANCELLED
        assert sum(batch.passages for batch in await kept_of(one, large.content_hmac)) == 128
        held.set()
        go.set()
        await upload
        await one.deps.tasks.settle()
        assert await one.found(ALICE, "word150.")
        await is_tidy(one, ALICE)

    played(scene)


def test_documents_of_a_retired_format_are_listed_read_replaced_and_deleted(
    played, tmp_path: Path
) -> None:
    async def scene(one: Process) -> None:
        ids = [await one.upload(ALICE, f"T{n}", f"apples word{n}") for n in range(4)]
        body = {"title": "secret", "text": "apples of few", "access": ["few"]}
        hidden = await ingestion.ingest(one.deps, ALICE, upload_from_text(body))
        await one.upload(BOB, "B", "apples of b")
        await retire(one, ALICE, tmp_path)
        with pytest.raises(Corrupt, match="reindex them"):
            await one.found(ALICE, "apples")
        page = await documents.list_documents(one.deps, ALICE)
        assert [document.card.title for document in page.documents] == ["T3", "T2", "T1", "T0"]
        assert (await documents.document_content(one.deps, ALICE, ids[1])).data == b"apples word1"
        for ask in (documents.get_document, documents.delete_document):
            for who, name in ((BOB, ids[0]), (ALICE, hidden.document.id)):
                with pytest.raises(NotFound):
                    await ask(one.deps, who, name)
        await documents.delete_document(one.deps, ALICE, ids[0])
        with pytest.raises(NotFound):
            await documents.get_document(one.deps, ALICE, ids[0])
        await one.replace(ALICE, ids[1], "apples replaced")
        assert await one.found(BOB, "apples") == ["apples of b"]

    played(scene)


def test_a_reindex_leads_out_of_a_retired_format(played, tmp_path: Path) -> None:
    async def scene(one: Process) -> None:
        vectors: Any = one.deps.vectors
        vectors._segments_max = 100
        for number in range(20):
            await one.upload(ALICE, f"T{number}", f"apples number{number}")
        await retire(one, ALICE, tmp_path)
        vectors._segments_max = 4
        reindexes: Any = one.reindexing._reindexes
        switch, reached, go = reindexes.switch, asyncio.Event(), asyncio.Event()

        async def late(*given: Any, **named: Any) -> Any:
            reached.set()
            await go.wait()
            return await switch(*given, **named)

        reindexes.switch = late
        await one.start(ALICE, None, again=True)
        await reached.wait()
        await vectors.settle()
        built = await one.deps.manifest.partition(A.id, IndexEdition.NEXT)
        assert len(built.segments) <= 4, "merged, although those that are searched cannot be"
        go.set()
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.DONE
        assert (await one.found(ALICE, "apples number7"))[0] == "apples number7"
        await is_tidy(one, ALICE)

    played(scene)


@pytest.mark.parametrize("at", [len(SEGMENT_MAGIC) - 1, -1], ids=["name", "frame"])
def test_what_is_changed_is_not_taken_for_an_earlier_format(played, tmp_path: Path, at) -> None:
    """Its documents are not read from elsewhere: somebody has been at them."""

    async def scene(one: Process) -> None:
        name = await one.upload(ALICE, "T", "apples")

        def changed(content: bytes) -> bytes:
            bits = bytearray(content)
            bits[at] ^= 4
            return bytes(bits)

        rewrite(tmp_path, await segments(one, ALICE), changed)
        one.deps.vectors.forget(A.id)  # type: ignore[attr-defined]
        for ask in (documents.get_document, documents.delete_document):
            with pytest.raises(Corrupt):
                await ask(one.deps, ALICE, name)

    played(scene)
