"""What no row names any more can be put back for a time; what a user deletes cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support import knowledge as support
from tests.support.postgres import Database
from tests.support.restores import ALICE, BOB, A, B, Process, TwoTenants, aged, copied, process

from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import ROOT_MARK, DurableFiles
from tenantry.application import documents, ingestion, retrieval, tending
from tenantry.application.knowledge import Knowledge
from tenantry.application.missing_objects import (
    in_trash,
    missing_objects,
    recover_objects,
)
from tenantry.domain.document import home_of
from tenantry.domain.errors import TenantryError, Unavailable
from tenantry.domain.upload import upload_from_text
from tenantry.ports.objects import ObjectKind

WEEK_S = 7 * 86_400.0
WHO = (ALICE, BOB)
_KEPT = (ObjectKind.ORIGINAL, ObjectKind.SEGMENT, ObjectKind.TRASH)


async def uploaded(at: Process, *words: str) -> dict[str, str]:
    """Alice's documents by word; merges are waited for, and what they replaced is discarded."""
    names = {}
    for word in words:
        for who in WHO:
            text = {"title": word, "text": f"{word} of {who.tenant_id}"}
            done = await ingestion.ingest(at.deps, who, upload_from_text(text))
            names.setdefault(word, done.document.id)
        await at.deps.vectors.settle()
    return names


async def found(at: Process) -> list[list[str]]:
    passages = [await retrieval.search(at.deps, who, "of", top_k=9) for who in WHO]
    return [sorted({p.text.split()[0] for p in each}) for each in passages]


async def thrown(at: Process, who: support.Principal = ALICE) -> set[str]:
    entries = await at.deps.objects.list(home_of(who.tenant), ObjectKind.TRASH)
    return {entry.object_id for entry in entries}


async def swept(at: Process) -> int:
    return await tending.sweep(at.deps, TwoTenants(), at.belonging)


def test_segments_that_merges_replaced_are_put_back_for_a_restored_database(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, trash_s=WEEK_S) as now:
            await uploaded(now, "one", "two")
            await now.belonging.move_on()
        async with copied(database, f"{database.name}_before") as before:
            async with process(database, tmp_path, trash_s=WEEK_S) as now:
                await uploaded(now, "three", "four", "five")
                assert await thrown(now), "merges have replaced what the copy names"
                await now.belonging.move_on()
            aged(tmp_path, WEEK_S + 60)
            async with process(before, tmp_path, trash_s=WEEK_S) as restored:
                with pytest.raises(TenantryError):
                    await found(restored)
                await restored.belonging.adopt()
                await swept(restored)  # and what it names stays in the trash, however old
                for who in WHO:
                    home, of = home_of(who.tenant), (restored.deps.objects, restored.named)
                    missing = await missing_objects(home, *of)
                    assert set(missing) == {ObjectKind.SEGMENT}
                    assert await in_trash(home, of[0], missing) == len(missing[ObjectKind.SEGMENT])
                    count, still = await recover_objects(home, *of)
                    assert (count, still) == (len(missing[ObjectKind.SEGMENT]), {})
                    assert await recover_objects(home, *of) == (0, {})
                assert await found(restored) == [["one", "two"]] * 2
            # The orphans of that sweep, named by the later database, are put back for it in turn.
            async with process(database, tmp_path, trash_s=WEEK_S) as now:
                await now.belonging.adopt()
                for who in WHO:
                    _, still = await recover_objects(
                        home_of(who.tenant), now.deps.objects, now.named
                    )
                    assert still == {}
                assert await found(now) == [["five", "four", "one", "three", "two"]] * 2

    asyncio.run(run())


def test_the_trash_is_emptied_in_time_and_of_a_strange_database_never(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            await uploaded(at, "one")
            for who in WHO:
                await at.deps.objects.put(home_of(who.tenant), ObjectKind.ORIGINAL, "lost", b"x")
                await at.deps.objects.put(home_of(who.tenant), ObjectKind.BATCH, "vectors", b"x")
            aged(tmp_path)
            assert await swept(at) == 4
            assert await thrown(at) == {"originals-lost"}, "batches are made anew, and not kept"
            aged(tmp_path, WEEK_S - 60)
            assert (await swept(at), await thrown(at, BOB)) == (0, {"originals-lost"})
            aged(tmp_path, WEEK_S + 60)
        async with (
            copied(database, f"{database.name}_other") as other,
            process(other, tmp_path, trash_s=WEEK_S) as strange,
        ):
            assert (await swept(strange), await thrown(strange)) == (0, {"originals-lost"})
            assert not await strange.deps.objects.discard(
                home_of(A), ObjectKind.TRASH, "originals-lost"
            )
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            assert (await swept(at), await thrown(at), await thrown(at, BOB)) == (0, set(), set())
            assert await found(at) == [["one"]] * 2

    asyncio.run(run())


def test_a_document_that_is_deleted_leaves_nothing_in_the_trash(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            names = await uploaded(at, "one")
            home = home_of(A)
            await documents.delete_document(at.deps, ALICE, names["one"])
            await at.deps.vectors.settle()
            for kind in ObjectKind:
                assert await at.deps.objects.list(home, kind) == []
            assert await found(at) == [[], ["one"]]

    asyncio.run(run())


@pytest.mark.parametrize("end", ["an orderly end", "a crash"])
def test_what_was_deleted_is_not_in_the_trash_after_a_restart(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The segment waits for searches when the process ends; a crash leaves the original too."""
    monkeypatch.setattr(tending, "DELETED_AGE_S", 0.0)

    async def nothing(*_: object) -> None:
        pass

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            names = await uploaded(at, "one")
            with monkeypatch.context() as crash:
                if end == "a crash":
                    crash.setattr(Knowledge, "delete_original", nothing)
                await documents.delete_document(at.deps, ALICE, names["one"])
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            home = home_of(A)
            assert len(await at.deps.objects.list(home, ObjectKind.SEGMENT)) == 1
            await swept(at)  # however young the files are
            for kind in (ObjectKind.ORIGINAL, ObjectKind.SEGMENT, ObjectKind.TRASH):
                assert await at.deps.objects.list(home, kind) == []
            assert await at.deps.manifest.deletions(A.id, 0.0, 9) == []
            assert (await found(at), await thrown(at, BOB)) == ([[], ["one"]], set())

    asyncio.run(run())


def test_what_was_deleted_is_taken_out_of_the_trash_and_never_put_there(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emptied between two readings of a sweep, or swept before notes are old enough."""

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            names = await uploaded(at, "one")
            (row,) = (await at.deps.manifest.partition(A.id)).segments
            await documents.delete_document(at.deps, ALICE, names["one"])
        aged(tmp_path)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            home, objects = home_of(A), at.deps.objects
            assert await objects.discard(home, ObjectKind.SEGMENT, row.id)
            await objects.put(home, ObjectKind.SEGMENT, row.id, b"again")
            aged(tmp_path)
            await swept(at)
            assert await objects.list(home, ObjectKind.SEGMENT) == [], "an orphan, and deleted"
            assert await thrown(at) == {f"segments-{row.id}"}, "the note is young"
            monkeypatch.setattr(tending, "DELETED_AGE_S", 0.0)
        async with (
            copied(database, f"{database.name}_other") as other,
            process(other, tmp_path, trash_s=WEEK_S) as strange,
        ):
            await swept(strange)
            assert await thrown(strange) != set()
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            await swept(at)
            assert await thrown(at) == set()
            assert await found(at) == [[], ["one"]]

    asyncio.run(run())


def test_a_version_that_was_replaced_does_not_go_to_the_trash(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "DELETED_AGE_S", 0.0)
    monkeypatch.setattr(tending, "DELETED_PAGE", 1)

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, trash_s=WEEK_S) as at:
            names = await uploaded(at, "one")
            text = {"title": "new", "text": f"new of {A.id}"}
            await ingestion.replace_document(at.deps, ALICE, names["one"], upload_from_text(text))
            aged(tmp_path)
            await swept(at)
            left = [len(await at.deps.objects.list(home_of(A), kind)) for kind in _KEPT]
            assert left == [1, 1, 0]
            assert (await found(at), await thrown(at, BOB)) == ([["new"], ["one"]], set())

    asyncio.run(run())


def test_a_crash_on_the_way_to_the_trash_or_back_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        (tmp_path / ROOT_MARK).touch()
        files = DurableFiles(tmp_path)
        objects = DiskObjects(tmp_path, files, trash_s=WEEK_S)
        home, kind = home_of(A), ObjectKind.SEGMENT
        await objects.put(home, kind, "one", b"of a")
        await objects.put(home_of(B), kind, "one", b"of b")

        def torn(*_: object) -> None:
            raise OSError("cut off")

        for move in (objects.discard, objects.put_back):
            for at in ((Path, "replace"), (files, "_sync_folder")):
                with monkeypatch.context() as crash:
                    crash.setattr(*at, torn)
                    with pytest.raises(Unavailable):
                        await move(home, kind, "one")
                places = [len(await objects.list(home, each)) for each in (kind, ObjectKind.TRASH)]
                assert sum(places) == 1
            assert not await move(home, kind, "one"), "it was there already"
        assert await objects.get(home, kind, "one") == b"of a"
        assert await objects.get(home_of(B), kind, "one") == b"of b"

    asyncio.run(run())
