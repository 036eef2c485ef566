"""A database of before, beside objects of now, deletes none of them. Nor does another one."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

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
from tenantry.adapters.postgres import object_mark
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


@pytest.mark.parametrize("over", ["an empty folder", "a copy of the folder", "its mark alone"])
def test_a_restored_database_does_not_become_right_over_another_folder(
    database: Database, tmp_path: Path, over: str
) -> None:
    """Its identity is the old one, and it is started once over something else in between."""

    async def run() -> None:
        home, other = tmp_path / "home", tmp_path / "other"
        home.mkdir()
        await support.add_tenants(database, A.id, B.id)
        async with process(database, home, mark=SameName) as now:
            await uploaded(now, "early")
            await now.belonging.move_on()
        async with copied(database, f"{database.name}_before") as before:
            if over == "a copy of the folder":  # as of the backup
                shutil.copytree(home, other)
            else:
                (other / "accounts").mkdir(parents=True)
            if over == "its mark alone":
                shutil.copy(home / "accounts" / NAME, other / "accounts" / NAME)
            async with process(database, home, mark=SameName) as now:
                await uploaded(now, "late")
                await now.belonging.move_on()
            aged(home)
            kept = stored(home)
            async with process(before, other, mark=SameName) as elsewhere:
                assert await elsewhere.belonging.move_on() is (over != "an empty folder")
                await elsewhere.belonging.adopt()  # a test restore may be given its own folder
                assert await elsewhere.belonging.move_on()
            async with process(before, home, mark=SameName) as restored:
                assert await restored.belonging.strange() is not None
                assert not await restored.belonging.move_on()
                assert await swept(restored) == 0
            assert stored(home) == kept
            async with process(database, home, mark=SameName) as now:
                assert await swept(now) == 0
                assert await found(now, "late") == [["early", "late"]] * 2

    asyncio.run(run())


def test_a_folder_that_lost_its_mark_is_strange_to_a_database_that_was_used(
    database: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        await support.add_tenants(database, A.id, B.id)
        async with process(database, tmp_path) as now:
            assert await now.belonging.strange() is None
            assert not (tmp_path / "accounts" / NAME).exists(), "asking writes nothing"
            assert await now.belonging.move_on(), "neither side was ever marked"
            await uploaded(now, "early")
        async with copied(database, f"{database.name}_before") as before:
            async with process(database, tmp_path) as now:
                await uploaded(now, "late")
                await now.belonging.move_on()
            aged(tmp_path)
            (tmp_path / "accounts" / NAME).unlink()
            async with process(before, tmp_path) as restored:
                assert "no mark" in (await restored.belonging.strange() or "")
                assert (await swept(restored), len(stored(tmp_path))) == (0, 8)
        async with process(database, tmp_path) as now:
            assert await swept(now) == 0
            assert "no mark" in (await now.belonging.adopt() or "")
            assert await now.belonging.move_on()

    asyncio.run(run())


async def _moved_on_as_before(database: Database, root: Path) -> None:
    """The two sides as a Tenantry of before leaves them: an instant on both."""
    admin: Any = await asyncpg.connect(database.dsn("superuser"))
    await admin.execute("DELETE FROM tenantry.object_line")
    at = await admin.fetchval(
        "INSERT INTO tenantry.object_mark (at) VALUES (clock_timestamp())"
        " ON CONFLICT (is_only) DO UPDATE SET at = clock_timestamp() RETURNING at"
    )
    await admin.close()
    mark = root / "accounts" / NAME
    told = {"database": json.loads(mark.read_bytes())["database"], "at": at.isoformat()}
    mark.write_text(json.dumps(told))


def test_what_a_tenantry_of_before_has_marked_goes_on_without_a_word(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        home, other = tmp_path / "home", tmp_path / "other"
        home.mkdir()
        await support.add_tenants(database, A.id, B.id)
        async with process(database, home, mark=SameName) as at:
            assert await at.belonging.move_on()
        await _moved_on_as_before(database, home)
        shutil.copytree(home, other)

        async def dies(_: object) -> None:
            raise _Dies

        async with copied(database, f"{database.name}_before") as before:
            await _moved_on_as_before(database, home)
            async with process(before, home, mark=SameName) as restored:
                assert "as of" in (await restored.belonging.strange() or "")
            async with process(before, other, mark=SameName) as restored:
                assert await restored.belonging.move_on()
            async with process(before, home, mark=SameName) as restored:
                assert not await restored.belonging.move_on()
            async with process(database, home, mark=SameName) as now:
                with monkeypatch.context() as crash:  # between its two sides
                    crash.setattr(now.file, "write", dies)
                    with pytest.raises(_Dies):
                        await now.belonging.move_on()
                assert await now.belonging.move_on()
                assert await now.belonging.move_on()
            async with process(before, home, mark=SameName) as restored:
                assert not await restored.belonging.move_on()
            async with process(database, home, mark=SameName) as now:
                assert await now.belonging.move_on()

    asyncio.run(run())


def test_lines_are_forgotten_in_the_end_and_never_that_of_the_mark(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_mark, "LINES_MAX", 3)

    async def run() -> None:
        old = b""
        for number in range(6):
            async with process(database, tmp_path) as at:
                assert await at.belonging.move_on()
                assert await at.belonging.move_on()
            if number == 0:
                old = (tmp_path / "accounts" / NAME).read_bytes()
        admin: Any = await asyncpg.connect(database.dsn("superuser"))
        assert await admin.fetchval("SELECT count(*) FROM tenantry.object_line") <= 4
        await admin.close()
        (tmp_path / "accounts" / NAME).write_bytes(old)
        async with process(database, tmp_path) as at:
            assert "does not know" in (await at.belonging.strange() or "")

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


def test_a_new_deployment_whose_mark_another_process_makes_meanwhile_is_not_strange(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of one process's round falls between the two readings of another."""

    async def run() -> None:
        async with process(database, tmp_path) as gateway, process(database, tmp_path) as worker:
            read, rounds = gateway.file.read, [worker.belonging.move_on]

            async def slow() -> Any:
                mark = await read()
                if rounds:
                    assert await rounds.pop()()
                return mark

            monkeypatch.setattr(gateway.file, "read", slow)
            assert await gateway.belonging.strange() is None
            assert rounds == []
            assert await gateway.belonging.move_on()
            (tmp_path / "accounts" / NAME).unlink()
            assert "no mark" in (await gateway.belonging.strange() or "")

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
            for damage in (
                b"",
                b"{}",
                b"[]",
                b'{"database": 1, "at": "x"}',
                b'{"at": "2026-01-01"}',
                b'{"database": "7/1/5", "at": null}',
                b'{"database": "7/1/5", "at": null, "line": "x"}',
            ):
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
