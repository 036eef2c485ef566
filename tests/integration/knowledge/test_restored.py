"""A database of before, beside objects of now, deletes none of them. Nor does another one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from tests.support import knowledge as support
from tests.support.postgres import Database
from tests.support.restores import (
    ALICE,
    BOB,
    A,
    B,
    Process,
    SameName,
    TwoTenants,
    aged,
    copied,
    process,
    stored,
)

from tenantry.adapters.objects.durable_file import ROOT_MARK
from tenantry.adapters.objects.mark_file import NAME
from tenantry.adapters.postgres.object_mark import PostgresMark
from tenantry.application import ingestion, retrieval, tending
from tenantry.application.belonging import WORD, of_ours
from tenantry.application.round import Round
from tenantry.domain.document import home_of
from tenantry.domain.errors import Unavailable
from tenantry.domain.upload import upload_from_text
from tenantry.ports.objects import ObjectKind


async def uploaded(at: Process, word: str) -> None:
    for who in (ALICE, BOB):
        text = {"title": word, "text": f"{word} of {who.tenant_id}"}
        await ingestion.ingest(at.deps, who, upload_from_text(text))
    await at.deps.vectors.settle()


async def found(at: Process, word: str) -> list[list[str]]:
    passages = [await retrieval.search(at.deps, who, word, top_k=9) for who in (ALICE, BOB)]
    return [sorted({p.text.split()[0] for p in each}) for each in passages]


def counted(done: list[int]) -> Callable[[], Awaitable[object]]:
    async def work() -> object:
        done.append(1)
        return None

    return work


async def swept(at: Process) -> int:
    both = await tending.sweep_vectors(at.deps, TwoTenants(), at.belonging)
    return both + await tending.sweep(at.deps, TwoTenants(), at.belonging)


@pytest.mark.parametrize("mark", [PostgresMark, SameName])
def test_a_restored_database_deletes_nothing_that_a_later_one_names(
    database: Database,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    mark: type[PostgresMark],
) -> None:
    """`SameName`: the disk of before, which has the same identity and only is behind."""

    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path, mark=mark) as now:
            await uploaded(now, "early")
            assert await swept(now) == 0
        async with copied(database, f"{database.name}_before") as before:
            async with process(database, tmp_path, mark=mark) as now:
                await uploaded(now, "late")
                await now.belonging.move_on()
            aged(tmp_path)
            kept = stored(tmp_path)
            async with process(before, tmp_path, mark=mark) as restored:
                done: list[int] = []
                sweeping = of_ours(restored.belonging, Round("sweep", 1.0, counted(done)))
                for _ in range(3):  # and it never catches up by itself
                    await sweeping.work()
                    assert await swept(restored) == 0
                    assert not await restored.belonging.move_on()
                await uploaded(restored, "since")
                assert await swept(restored) == 0
                assert await found(restored, "early") == [["early", "since"]] * 2
            assert done == [], "nor are expired answers and conversations deleted by its rows"
            assert kept <= stored(tmp_path)
            (warning,) = [each for each in caplog.messages if WORD in each]
            assert "are not this database's" in warning
            async with process(database, tmp_path, mark=mark) as now:  # restored again, to later
                assert await found(now, "late") == [["early", "late"]] * 2
                aged(tmp_path)
                # What the database of before wrote, it does not name: four objects, which are none.
                assert await swept(now) == 4
                await of_ours(now.belonging, Round("sweep", 1.0, counted(done))).work()
                assert done == [1]
                assert await found(now, "late") == [["early", "late"]] * 2

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())


def test_the_operators_word_gives_the_objects_to_the_restored_database(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as now:
            await uploaded(now, "early")
            await now.belonging.move_on()
        async with copied(database, f"{database.name}_before") as before:
            async with process(database, tmp_path) as now:
                await uploaded(now, "late")
                await now.belonging.move_on()
            aged(tmp_path)
            async with process(before, tmp_path) as restored:
                assert "another database" in (await restored.belonging.adopt() or "")
                assert await restored.belonging.adopt() is None
                assert await restored.belonging.strange() is None
                assert await swept(restored) > 0
                assert await swept(restored) == 0
                assert await found(restored, "early") == [["early"]] * 2
            async with process(database, tmp_path) as now:
                assert await now.belonging.strange() is not None
                assert await swept(now) == 0

    asyncio.run(run())


class _Dies(Exception):
    pass


def test_a_crash_between_the_two_sides_leaves_them_together(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)

        async def dies(_: object) -> None:
            raise _Dies

        async with process(database, tmp_path) as one, process(database, tmp_path) as other:
            for _ in range(2):  # at the first mark, and at a later one
                with monkeypatch.context() as crash:
                    crash.setattr(one.file, "write", dies)
                    with pytest.raises(_Dies):
                        await one.belonging.move_on()
                assert await other.belonging.move_on()
                assert await one.belonging.move_on()
            marks = [await one.file.read()]
            for at in (other, one, other):
                assert await at.belonging.move_on()
                marks.append(await at.file.read())
            assert [mark.at for mark in marks if mark] == sorted({m.at for m in marks if m})
            assert len({mark.database for mark in marks if mark}) == 1

    asyncio.run(run())


def test_a_server_that_does_not_tell_which_one_it_is_has_nothing_swept(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as at:
            assert await at.belonging.move_on()
            await at.deps.objects.put(home_of(B), ObjectKind.ORIGINAL, "orphan", b"x")
            aged(tmp_path)
            admin = await asyncpg.connect(database.dsn("superuser"))
            await admin.execute("REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC")
            await admin.close()
            with pytest.raises(Unavailable, match="permission denied for function"):
                await swept(at)
            assert len(stored(tmp_path)) == 1

    asyncio.run(run())


def test_a_damaged_mark_and_a_disk_that_is_not_there_delete_nothing(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as at:
            await at.belonging.move_on()
            await at.deps.objects.put(home_of(B), ObjectKind.ORIGINAL, "orphan", b"x")
            aged(tmp_path)
            accounts = tmp_path / "accounts"
            for damage in (b"", b"{}", b'{"database": 1, "at": "x"}', b'{"at": "2026-01-01"}'):
                (accounts / NAME).write_bytes(damage)
                assert await swept(at) == 0
            (accounts / ROOT_MARK).unlink()
            for ask in (at.belonging.strange, at.belonging.move_on, at.belonging.adopt):
                with pytest.raises(Unavailable):
                    await ask()
            (accounts / ROOT_MARK).touch()
            assert "damaged" in (await at.belonging.adopt() or "")
            assert await swept(at) == 1

    asyncio.run(run())
