"""Notes of what was deleted take that alone: not what was uploaded again, not what others index."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import asyncpg
import pytest
from tests.support import knowledge as support
from tests.support import reindexes
from tests.support.postgres import Database
from tests.support.restores import ALICE, BOB, A, B, Process, TwoTenants, aged, process

from tenantry.application import documents, indexing, ingestion, retrieval, tending
from tenantry.application.knowledge import Knowledge
from tenantry.domain.document import home_of
from tenantry.domain.upload import upload_from_text
from tenantry.ports.objects import ObjectKind
from tenantry.ports.reindexing import ReindexState

WEEK_S = 7 * 86_400.0
WORDS = ("one", "two", "three")
STEPS = range(1, 16, 2)  # of what a process does to delete one, upload it again and sweep
CLAIMED = (
    "UPDATE tenantry.document SET claimed_until = now() - interval '1 s' WHERE state = 'indexing'"
)
_KEPT = (ObjectKind.ORIGINAL, ObjectKind.SEGMENT)


async def upload(at: Process, who: support.Principal, word: str) -> str:
    text = {"title": word[:9], "text": f"{word} of {who.tenant_id}"}
    return (await ingestion.ingest(at.deps, who, upload_from_text(text))).document.id


async def found(at: Process) -> list[list[str]]:
    passages = [await retrieval.search(at.deps, who, "of", top_k=9) for who in (ALICE, BOB)]
    return [sorted({p.text.split()[0] for p in each}) for each in passages]


async def stored(at: Process, *kinds: ObjectKind) -> set[str]:
    home = home_of(A)
    return {e.object_id for kind in kinds for e in await at.deps.objects.list(home, kind)}


async def thrown(at: Process) -> set[str]:
    return {name.partition("-")[2] for name in await stored(at, ObjectKind.TRASH)}


async def is_whole(at: Process) -> None:
    """All that rows name is there and opens, and beside the trash nothing else of Alice's."""
    named = await at.deps.manifest.objects(A.id)
    assert await stored(at, *_KEPT) == named
    assert await stored(at, ObjectKind.CARD, ObjectKind.BATCH) == set()
    for row in await at.deps.manifest.documents(A.id, None, 99):
        await documents.document_content(at.deps, ALICE, row.id)
    assert await at.deps.manifest.deletions(A.id, 0.0, 9) == []


async def as_superuser(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(database.dsn("superuser"))
    await connection.execute(statement)
    await connection.close()


async def nothing(*_: object) -> None:
    """As where a process dies before that."""


def test_the_same_bytes_that_are_uploaded_again_at_once_stay(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            await upload(at, BOB, "one")
            for _ in range(2):
                with monkeypatch.context() as crash:
                    crash.setattr(Knowledge, "delete_original", nothing)
                    first = await upload(at, ALICE, "one")
                    await documents.delete_document(at.deps, ALICE, first)
                again = await upload(at, ALICE, "one")
                assert again != first
            assert len(await stored(at, ObjectKind.ORIGINAL)) == 3
        monkeypatch.setattr(tending, "DELETED_AGE_S", 0.0)
        aged(tmp_path)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            for _ in range(2):
                await tending.sweep(at.deps, TwoTenants(), at.belonging)
            await is_whole(at)
            assert await thrown(at) == set()
            assert await found(at) == [["one"], ["one"]]

    asyncio.run(run())


def test_two_processes_that_sweep_at_once_take_what_was_deleted_and_no_more(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "DELETED_AGE_S", 0.0)
    monkeypatch.setattr(tending, "DELETED_PAGE", 2)

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with (
            process(database, tmp_path, trash_s=WEEK_S) as one,
            process(database, tmp_path, trash_s=WEEK_S) as two,
        ):
            await upload(one, BOB, "one")
            ids = [await upload(one, ALICE, word) for word in WORDS]
            rows = await one.deps.manifest.documents(A.id, None, 9)
            with monkeypatch.context() as crash:
                crash.setattr(Knowledge, "delete_original", nothing)
                for name in ids:
                    await documents.delete_document(one.deps, ALICE, name)
            kept = upload(two, ALICE, "kept")
            sweeps = [tending.sweep(at.deps, TwoTenants(), at.belonging) for at in (one, two)]
            noted = {each.name for each in await one.deps.manifest.deletions(A.id, 0.0, 99)}
            assert noted > {row.original_id for row in rows}, "and segments"
            await asyncio.gather(*sweeps, kept)
            await one.deps.vectors.settle()
            aged(tmp_path)
            await tending.sweep(two.deps, TwoTenants(), two.belonging)
            await is_whole(one)
            assert not await thrown(one) & noted
            assert await found(one) == await found(two) == [["kept"], ["one"]]

    asyncio.run(run())


def test_what_is_deleted_while_a_reindex_runs_takes_nothing_of_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "DELETED_AGE_S", 0.0)

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with reindexes.process(database, tmp_path) as one:
            of = home_of(A), one.deps.objects, one.deps.manifest, support.ours
            ids = [await one.upload(ALICE, f"T{n}", f"apples word{n}") for n in range(5)]
            await one.upload(BOB, "B", "apples of b")
            reached, go = one.held(reindexes.NEW)
            await one.start(ALICE)
            await reached.wait()
            await documents.delete_document(one.deps, ALICE, ids[0])
            await tending.delete_noted(*of)
            await one.upload(ALICE, "T0", "apples word0")
            go.set()
            await documents.delete_document(one.deps, ALICE, ids[4])
            await tending.delete_noted(*of)
            await one.deps.tasks.settle()
            assert (await one.state(ALICE)).state is ReindexState.DONE
            await documents.delete_document(one.deps, ALICE, ids[1])
            await tending.delete_noted(*of)
            assert set(await one.found(ALICE, "apples")) == {f"apples word{n}" for n in (0, 2, 3)}
            assert await one.found(BOB, "apples") == ["apples of b"]
            await reindexes.is_tidy(one, ALICE)
            assert await one.deps.manifest.deletions(A.id, 0.0, 9) == []

    asyncio.run(run())


def test_a_kill_between_a_deletion_and_its_sweep_leaves_what_was_uploaded_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "DELETED_AGE_S", 0.0)
    command = (sys.executable, "-m", "tests.support.deletion_process", database.dsn("app"))

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        killed = 0
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            await upload(at, BOB, "one")
            for step in STEPS:
                ids = [await upload(at, ALICE, word) for word in WORDS[:2]]
                rows = await at.deps.manifest.documents(A.id, None, 9)
                child = await asyncio.create_subprocess_exec(
                    *command, str(tmp_path), str(step), *ids
                )
                killed += await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL
                await as_superuser(database, CLAIMED)
                await indexing.resume_indexing(at.deps, [A])
                await at.deps.tasks.settle()
                for word in WORDS[:2]:
                    await upload(at, ALICE, word)  # again, where that was not done
                await at.deps.vectors.settle()
                aged(tmp_path)
                await tending.sweep(at.deps, TwoTenants(), at.belonging)
                await is_whole(at)
                assert not await thrown(at) & {row.original_id for row in rows}
                assert await found(at) == [["one", "two"], ["one"]]
        assert killed == len(STEPS)

    asyncio.run(run())


def test_the_card_beside_a_large_original_goes_with_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However young it is: it says what the document was called."""
    monkeypatch.setattr(tending, "DELETED_AGE_S", 0.0)

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            ids = [await upload(at, who, reindexes.LARGE) for who in (ALICE, BOB)]
            assert len(await stored(at, ObjectKind.CARD)) == 1
            with monkeypatch.context() as crash:
                crash.setattr(Knowledge, "delete_original", nothing)
                await documents.delete_document(at.deps, ALICE, ids[0])
            await tending.sweep(at.deps, TwoTenants(), at.belonging)
            await is_whole(at)
            await documents.document_content(at.deps, BOB, ids[1])
            cards = await at.deps.objects.list(home_of(B), ObjectKind.CARD)
            assert len(cards) == 1

    asyncio.run(run())
