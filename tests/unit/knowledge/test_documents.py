"""The use cases over real files, keys and parsers: ingest, search, list, get, content, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.support import knowledge as support
from tests.support import knowledge_files as files
from tests.support.documents import ALICE, BOB, LARGE, A, B, World, text, titles

from tenantry.application import documents, indexing, ingestion, patience, retrieval
from tenantry.domain.document import DocumentState
from tenantry.domain.errors import (
    BadRequest,
    BudgetExceeded,
    NotFound,
    QuotaExceeded,
    Unreadable,
    UpstreamRubbish,
)
from tenantry.domain.filter import filter_from
from tenantry.domain.upload import upload_from_file


def test_each_tenant_has_its_own_documents_and_cannot_reach_the_other_s(played) -> None:
    async def scene(world: World) -> None:
        mine = (await ingestion.ingest(world.deps, ALICE, text("Fruit", "apples are red"))).document
        theirs = (await ingestion.ingest(world.deps, BOB, text("Own", "apples are blue"))).document
        assert mine.status is theirs.status is DocumentState.READY
        assert await titles(world, ALICE, "apples") == ["Fruit"]
        assert await titles(world, BOB, "apples") == ["Own"]
        for call in (
            documents.get_document,
            documents.document_content,
            documents.delete_document,
        ):
            with pytest.raises(NotFound):
                await call(world.deps, ALICE, theirs.id)
        assert [d.id for d in (await documents.list_documents(world.deps, ALICE)).documents] == [
            mine.id
        ]
        assert await titles(world, BOB, "apples") == ["Own"]

    played(scene)


def test_passages_are_ranges_of_the_text_and_the_original_comes_back(played) -> None:
    async def scene(world: World) -> None:
        source = "# Über\n\nÄpfel sind rot.\n\n" + "Füller. " * 300 + "\n\nBirnen sind grün."
        upload = upload_from_file(
            source.encode(), content_type="text/markdown", file_name="obst.md"
        )
        document = (await ingestion.ingest(world.deps, ALICE, upload)).document
        found = await retrieval.search(world.deps, ALICE, "Birnen sind grün", top_k=50)
        assert len(found) == document.passages > 1
        assert all(source[p.start : p.end] == p.text for p in found)
        content = await documents.document_content(world.deps, ALICE, document.id)
        assert content.data == source.encode()
        assert (content.card.title, content.card.file_name) == ("obst.md", "obst.md")

    played(scene)


def test_the_same_upload_twice_is_one_document_and_embedded_once(played) -> None:
    async def scene(world: World) -> None:
        first = await ingestion.ingest(world.deps, ALICE, text("T", "apples"))
        calls = len(world.embedder.calls)
        again = await ingestion.ingest(world.deps, ALICE, text("T", "apples"))
        other = await ingestion.ingest(world.deps, ALICE, text("T", "apples", access=["hr"]))
        assert (again.created, again.document.id) == (False, first.document.id)
        assert other.document.id != first.document.id
        assert len(world.embedder.calls) == calls + 1
        assert (await ingestion.ingest(world.deps, BOB, text("T", "apples"))).created
        assert await world.originals(A) == 2

    played(scene)


def test_the_same_upload_at_once_is_one_document(played) -> None:
    async def scene(world: World) -> None:
        uploads = [ingestion.ingest(world.deps, ALICE, text("T", "apples")) for _ in range(8)]
        done = await asyncio.gather(*uploads)
        assert len({item.document.id for item in done}) == 1
        assert sum(item.created for item in done) == 1
        assert await world.originals(A) == 1

    played(scene)


def test_a_refused_embedding_takes_the_document_back(played) -> None:
    async def scene(world: World) -> None:
        async def refuse(*_: object) -> list[list[float]]:
            raise BudgetExceeded()

        async def rubbish(_: object, texts: Sequence[str], *more: object) -> list[list[float]]:
            return [[0.0] * support.DIMENSIONS for _ in texts]

        for broken, error in ((refuse, BudgetExceeded), (rubbish, UpstreamRubbish)):
            world.embedder.embed = broken
            with pytest.raises(error):
                await ingestion.ingest(world.deps, ALICE, text("T", "apples"))
            assert (await documents.list_documents(world.deps, ALICE)).documents == []
            assert await world.originals(A) == 0

    played(scene)


def test_unreadable_uploads_leave_nothing(played) -> None:
    async def scene(world: World) -> None:
        bomb = upload_from_file(files.zip_bomb(megabytes=8), content_type="", file_name="x.docx")
        with pytest.raises(Unreadable):
            await ingestion.ingest(world.deps, ALICE, bomb)
        assert world.embedder.calls == []
        assert await world.originals(A) == 0

    played(scene)


def test_the_plan_bounds_documents_and_storage(played) -> None:
    async def scene(world: World) -> None:
        few = support.principal(support.tenant("tnt_few", documents_max=2))
        small = support.principal(support.tenant("tnt_small", storage_max_mb=1))
        none = support.principal(support.tenant("tnt_none", documents_max=0))
        for number in range(2):
            await ingestion.ingest(world.deps, few, text("T", f"word{number}"))
        assert not (await ingestion.ingest(world.deps, few, text("T", "word1"))).created
        for who, upload, limit in (
            (few, text("T", "third"), "documents_max"),
            (small, text("T", "y " * 500_001), "storage_max_mb"),
            (none, text("T", "first"), "documents_max"),
        ):
            with pytest.raises(QuotaExceeded) as caught:
                await ingestion.ingest(world.deps, who, upload)
            assert caught.value.limit == limit
        listed = (await documents.list_documents(world.deps, few)).documents
        await documents.delete_document(world.deps, few, listed[0].id)
        assert (await ingestion.ingest(world.deps, few, text("T", "third"))).created

    played(scene)


def test_a_large_upload_is_acknowledged_first_and_ready_later(played) -> None:
    async def scene(world: World) -> None:
        taken = await ingestion.ingest(world.deps, ALICE, text("Large", LARGE))
        assert taken.document.status is DocumentState.INDEXING
        shown = await documents.get_document(world.deps, ALICE, taken.document.id)
        assert (shown.status, shown.card.title) == (DocumentState.INDEXING, "Large")
        await world.deps.tasks.settle()
        shown = await documents.get_document(world.deps, ALICE, taken.document.id)
        assert shown.status is DocumentState.READY
        assert shown.passages >= 1_200
        assert max(count for _, count, _ in world.embedder.calls) == 64
        (best,) = await retrieval.search(world.deps, ALICE, "matter of word777", top_k=1)
        assert "word777." in best.text

    played(scene)


def test_another_process_finishes_what_a_dead_one_began(played, monkeypatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(patience, "LEASE_S", 0.0)
        started = asyncio.Event()

        async def hang(*_: object) -> list[list[float]]:
            started.set()
            await asyncio.Event().wait()
            return []

        world.embedder.embed = hang
        taken = await ingestion.ingest(world.deps, ALICE, text("Large", LARGE))
        await started.wait()
        await world.deps.tasks.close()
        following = world.again()
        assert await indexing.resume_indexing(following.deps, [A, B]) == 1
        await following.deps.tasks.settle()
        shown = await documents.get_document(following.deps, ALICE, taken.document.id)
        assert shown.status is DocumentState.READY
        assert await indexing.resume_indexing(following.deps, [A, B]) == 0
        following.partitions.close()

    played(scene)


def test_a_background_refusal_is_the_document_s_state_and_can_be_retried(played) -> None:
    async def scene(world: World) -> None:
        attempts = []

        async def refuse(*_: object) -> list[list[float]]:
            attempts.append(1)
            raise BudgetExceeded()

        good, world.embedder.embed = world.embedder.embed, refuse
        taken = await ingestion.ingest(world.deps, ALICE, text("Large", LARGE))
        await world.deps.tasks.settle()
        shown = await documents.get_document(world.deps, ALICE, taken.document.id)
        assert (shown.status, shown.failure) == (DocumentState.FAILED, "budget_exceeded")
        assert len(attempts) == 1, "a spent budget is not waited for"
        world.embedder.embed = good
        again = await ingestion.ingest(world.deps, ALICE, text("Large", LARGE))
        assert again.created
        await world.deps.tasks.settle()
        listed = (await documents.list_documents(world.deps, ALICE)).documents
        assert [item.status for item in listed] == [DocumentState.READY]

    played(scene)


def test_a_caller_who_hangs_up_leaves_a_whole_document(played) -> None:
    async def scene(world: World) -> None:
        reached, go = asyncio.Event(), asyncio.Event()
        embed = world.embedder.embed

        async def slow(*given: object) -> list[list[float]]:
            reached.set()
            await go.wait()
            return await embed(*given)

        world.embedder.embed = slow
        call = asyncio.create_task(ingestion.ingest(world.deps, ALICE, text("T", "apples")))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go.set()
        await world.deps.tasks.settle()
        world.embedder.embed = embed
        assert await titles(world, ALICE, "apples") == ["T"]

    played(scene)


def test_access_tags_hold_for_every_way_to_a_document(played) -> None:
    async def scene(world: World) -> None:
        secret = (
            await ingestion.ingest(world.deps, ALICE, text("Pay", "apples", access=["hr", "ceo"]))
        ).document
        await ingestion.ingest(world.deps, ALICE, text("Open", "apples too"))
        hr, sales = frozenset({"hr"}), frozenset({"sales"})
        for groups, expected in ((hr, {"Pay", "Open"}), (sales, {"Open"}), (frozenset(), {"Open"})):
            assert set(await titles(world, ALICE, "apples", groups=groups)) == expected
            page = await documents.list_documents(world.deps, ALICE, groups=groups)
            assert {item.card.title for item in page.documents} == expected
        for call in (
            documents.get_document,
            documents.document_content,
            documents.delete_document,
        ):
            with pytest.raises(NotFound):
                await call(world.deps, ALICE, secret.id, groups=sales)
        await documents.delete_document(world.deps, ALICE, secret.id, groups=hr)
        assert await titles(world, ALICE, "apples", groups=hr) == ["Open"]

    played(scene)


def test_filters_choose_by_metadata(played) -> None:
    async def scene(world: World) -> None:
        for year in (2024, 2025, 2026):
            upload = text(f"Y{year}", f"apples of {year}", metadata={"year": year, "tags": ["a"]})
            await ingestion.ingest(world.deps, ALICE, upload)
        for given, expected in (
            ({"year": 2025}, {"Y2025"}),
            ({"greaterThan": {"key": "year", "value": 2024}}, {"Y2025", "Y2026"}),
            ({"in": {"key": "year", "value": [2024, 2026]}}, {"Y2024", "Y2026"}),
            ({"listContains": {"key": "tags", "value": "a"}}, {"Y2024", "Y2025", "Y2026"}),
            ({"missing": 1}, set()),
        ):
            found = await titles(world, ALICE, "apples", where=filter_from(given))
            assert set(found) == expected

    played(scene)


def test_lists_are_paged_newest_first(played) -> None:
    async def scene(world: World) -> None:
        for number in range(7):
            await ingestion.ingest(world.deps, ALICE, text(f"T{number}", f"word{number}"))
            await asyncio.sleep(0.002)  # ids sort by millisecond
        seen, cursor = [], None
        while True:
            page = await documents.list_documents(world.deps, ALICE, cursor=cursor, limit=3)
            seen += [item.card.title for item in page.documents]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == [f"T{number}" for number in reversed(range(7))]
        for bad in ({"cursor": "x"}, {"limit": 0}, {"limit": 101}):
            with pytest.raises(BadRequest):
                await documents.list_documents(world.deps, ALICE, **bad)

    played(scene)


def test_a_tenant_without_documents_is_not_charged_for_a_search(played) -> None:
    async def scene(world: World) -> None:
        assert await retrieval.search(world.deps, ALICE, "anything") == []
        assert world.embedder.calls == []
        for query, top_k in (("", 5), (" ", 5), ("x\0", 5), ("x" * 9_000, 5), ("x", 0), ("x", 51)):
            with pytest.raises(BadRequest):
                await retrieval.search(world.deps, ALICE, query, top_k=top_k)

    played(scene)


@pytest.mark.parametrize("length", [0, 1, support.DIMENSIONS - 1, 2 * support.DIMENSIONS])
def test_a_query_s_vector_of_another_length_is_the_model_s_fault(played, length: int) -> None:
    async def scene(world: World) -> None:
        await ingestion.ingest(world.deps, ALICE, text("Fruit", "apples are red"))

        async def embed(*_: object) -> list[list[float]]:
            return [[1.0] * length]

        world.embedder.embed = embed
        with pytest.raises(UpstreamRubbish, match=f"{support.DIMENSIONS} dimensions"):
            await titles(world, ALICE, "apples")

    played(scene)


def test_nothing_a_tenant_wrote_lies_in_clear_on_disk(played) -> None:
    async def scene(world: World) -> None:
        upload = text("Canarytitle", "canarybody", metadata={"canarykey": "canaryvalue"})
        await ingestion.ingest(world.deps, ALICE, upload)
        stored = [path for path in world.root.rglob("*") if path.is_file()]
        assert len(stored) >= 4
        assert not [path for path in stored if b"canary" in path.read_bytes().lower()]
        assert all(path.stat().st_mode & 0o077 == 0 for path in world.root.glob("accounts/**/*"))

    played(scene)
