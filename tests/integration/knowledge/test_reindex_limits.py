"""Documents are split as the model that embeds them takes them, also by a reindex, over PostgreSQL:
nothing is lost on the way to a model that takes less, nor on the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.postgres import Database
from tests.support.reindexes import ALICE, BOB, NEW, OLD, A, B, Process, Scene, is_tidy, process

from tenantry.application import ingestion, retrieval
from tenantry.domain.chunk import ChunkLimit, Passage
from tenantry.domain.space import Space
from tenantry.domain.upload import upload_from_text
from tenantry.ports.reindexing import ReindexState

LESS = ChunkLimit(100)
TEXT = (
    "".join(f"Apples of row {n}. 日本語の林檎は赤い。\n\n" for n in range(30)) + "x" * 700 + " end"
)


@pytest.fixture
def played(database: Database, tmp_path: Path) -> Callable[[Scene], None]:
    async def run(scene: Scene) -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as one:
            one.embedder.limits = {NEW.model: LESS}
            await scene(one)

    return lambda scene: asyncio.run(run(scene))


async def passages(one: Process, who: Any) -> list[Passage]:
    found = await retrieval.search(one.deps, who, "apples", top_k=50)
    return sorted(found, key=lambda passage: passage.start)


def is_whole(found: Sequence[Passage], source: str = TEXT) -> None:
    end = 0
    for passage in found:
        assert source[passage.start : passage.end] == passage.text
        assert not source[end : passage.start].strip()
        end = passage.end
    assert not source[end:].strip()


def all_fit(one: Process, space: Space = NEW) -> bool:
    texts = [text for model, text in one.embedder.texts if model == space.model]
    return bool(texts) and all(len(text.encode()) <= LESS.tokens_max for text in texts)


def test_a_reindex_splits_anew_and_back(played: Callable[[Scene], None]) -> None:
    async def scene(one: Process) -> None:
        await one.upload(ALICE, "T", TEXT)
        await one.upload(BOB, "B", TEXT)
        before, of_bob = await passages(one, ALICE), await passages(one, BOB)
        is_whole(before)
        for space in (NEW, OLD):
            await one.start(ALICE, space)
            await one.deps.tasks.settle()
            done = await one.state(ALICE)
            assert done.state is ReindexState.DONE
            found = await passages(one, ALICE)
            is_whole(found)
            if space == NEW:
                assert all_fit(one)
                assert len(found) > 5 * len(before)
                (row,) = await one.deps.manifest.documents(A.id, None, 9)
                assert row.passages == done.passages.total == len(found)
        assert [p.text for p in found] == [p.text for p in before]
        assert [p.text for p in await passages(one, BOB)] == [p.text for p in of_bob]
        await is_tidy(one, ALICE)

    played(scene)


def test_what_is_uploaded_to_a_model_that_takes_less_is_split_for_it(
    played: Callable[[Scene], None],
) -> None:
    async def scene(one: Process) -> None:
        await one.upload(ALICE, "first", "pears")
        await one.start(ALICE, NEW)
        await one.deps.tasks.settle()
        document_id = await one.upload(ALICE, "T", TEXT)
        await one.upload(BOB, "B", TEXT)
        is_whole([p for p in await passages(one, ALICE) if p.document_id == document_id])
        assert all_fit(one)
        assert len(await passages(one, BOB)) < 5
        await one.replace(ALICE, document_id, TEXT[::-1])
        found = [p for p in await passages(one, ALICE) if p.document_id == document_id]
        is_whole(found, TEXT[::-1])
        assert all_fit(one)

    played(scene)


def test_an_upload_that_a_reindex_overtakes_is_split_again(
    played: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(one: Process) -> None:
        monkeypatch.setattr("tenantry.application.reindexing.SWITCH_PATIENCE_S", 0.0)
        await one.upload(ALICE, "first", "pears")
        reached, go = one.held(OLD)
        body = upload_from_text({"title": "T", "text": TEXT})
        upload = asyncio.create_task(ingestion.ingest(one.deps, ALICE, body))
        await reached.wait()
        await one.start(ALICE, NEW)
        await one.reaches(lambda reindex: reindex.state is ReindexState.DONE)
        go.set()
        document = (await upload).document
        found = [p for p in await passages(one, ALICE) if p.document_id == document.id]
        is_whole(found)
        assert document.passages == len(found)
        assert all_fit(one)
        await is_tidy(one, ALICE)

    played(scene)
