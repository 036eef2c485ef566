"""What the processes of a data folder tell each other of the servers that they have seen."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import eventually

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres import one_primary
from tenantry.adapters.postgres.one_primary import Primary
from tenantry.adapters.postgres.outages import why
from tenantry.adapters.postgres.primary_note import (
    LINES_MAX,
    LOCK_NAME,
    NAME,
    PrimaryNote,
    Sighting,
)
from tenantry.domain.errors import Unavailable

HERE, THERE = "db1:5432", "db2:5432"


class Connection:
    """Of a server that says which it is."""

    def __init__(self, server: int, timeline: int) -> None:
        self._row = {"server": server, "timeline": timeline}
        self.ended = asyncio.Event()

    async def fetchrow(self, *_: object, **__: object) -> dict[str, int]:
        return self._row

    def terminate(self) -> None:
        self.ended.set()


def process(home: Path, *hosts: str, may_change: bool = False) -> Primary:
    """What one process knows, before its first connection."""
    note = PrimaryNote(home / NAME, DurableFiles())
    return Primary(frozenset(hosts or [HERE]), note, may_change)


async def told(primary: Primary, server: int, timeline: int) -> str:
    """Why it does not use that server; nothing: it does."""
    connection: Any = Connection(server, timeline)
    return await primary.refusal(connection, 1) or ""


def start(home: Path, server: int, timeline: int, *hosts: str, may_change: bool = False) -> str:
    return asyncio.run(told(process(home, *hosts, may_change=may_change), server, timeline))


def lines(home: Path) -> Sequence[str]:
    return (home / NAME).read_text().splitlines()


@contextlib.contextmanager
def locked(*paths: Path) -> Iterator[None]:
    """As another process does that is stopped meanwhile."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY | (0 if path.is_dir() else os.O_CREAT))
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


async def noted(home: Path, line: str) -> None:
    await asyncio.to_thread(eventually, lambda: (home / NAME).exists() and line in lines(home))


def test_what_one_process_has_seen_ends_the_others_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a process that opens none any more."""
    monkeypatch.setattr(one_primary, "LOOK_EVERY_S", 0.01)

    async def run() -> None:
        one, other = process(tmp_path), process(tmp_path, HERE, THERE)
        kept: Any = Connection(7, 1)
        assert await one.refusal(kept, 1) is None
        assert await told(other, 7, 2) == ""
        async with asyncio.timeout(10):
            await kept.ended.wait()
        assert "gone on from it to 2" in await told(one, 7, 1)

    asyncio.run(run())


def test_a_copy_at_another_address_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(one_primary, "LOOK_EVERY_S", 0.01)

    async def run() -> None:
        gateway = process(tmp_path)
        kept: Any = Connection(7, 1)
        assert await gateway.refusal(kept, 1) is None
        with caplog.at_level(logging.WARNING):
            assert await told(process(tmp_path, THERE), 7, 2) == ""
        (warned,) = [each.getMessage() for each in caplog.records]
        assert f"at {THERE} has gone on to timeline 2 from the one at {HERE} (1)" in warned
        await asyncio.sleep(0.1)
        assert not kept.ended.is_set()
        assert await told(gateway, 7, 1) == ""

    asyncio.run(run())
    caplog.clear()
    assert start(tmp_path, 7, 1) == "", "nor the next start"
    (warned,) = [each.getMessage() for each in caplog.records]
    assert f"the one at {THERE} has gone on from it to 2" in warned
    assert f"remove its line from {tmp_path / NAME}" in warned
    assert "before a fail-over" in start(tmp_path, 7, 1, THERE)


def test_a_look_at_another_server_forgets_nothing(tmp_path: Path) -> None:
    assert start(tmp_path, 7, 2, HERE) == ""
    assert start(tmp_path, 8, 1, THERE) == ""
    assert lines(tmp_path) == [f"7/2 {HERE}", f"8/1 {THERE}"]
    assert "its timeline is 1" in start(tmp_path, 7, 1)


def test_only_a_start_takes_another_server_in_the_place_of_the_noted_one(tmp_path: Path) -> None:
    assert start(tmp_path, 7, 2) == ""
    assert "another server (system identifier 8)" in start(tmp_path, 8, 1)
    assert start(tmp_path, 8, 1, may_change=True) == ""
    assert start(tmp_path, 8, 1) == ""
    assert "another server (system identifier 7)" in start(tmp_path, 7, 2)
    assert "its timeline is 1" in start(tmp_path, 7, 1, may_change=True), "it is still known"
    assert start(tmp_path, 7, 3, may_change=True) == ""
    assert lines(tmp_path) == [f"8/1 {HERE}", f"7/3 {HERE}"]


def test_the_note_is_bounded_and_keeps_what_is_worked_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_primary, "LOOK_EVERY_S", 0.01)

    async def run() -> None:
        gateway = process(tmp_path)
        kept: Any = Connection(7, 2)
        assert await gateway.refusal(kept, 1) is None
        for number in range(LINES_MAX + 1):
            assert await told(process(tmp_path, f"db{number}:1"), number, 1) == ""
        await noted(tmp_path, f"7/2 {HERE}")
        assert len(lines(tmp_path)) == LINES_MAX

    asyncio.run(run())


def test_looks_at_copies_take_each_others_place(tmp_path: Path) -> None:
    """The production's line is the oldest, and no process of it runs here meanwhile."""
    assert start(tmp_path, 7, 2) == ""
    assert start(tmp_path, 8, 1, THERE) == ""
    for number in range(LINES_MAX + 1):
        assert start(tmp_path, 7, 3, f"copy{number}:1") == ""
    assert len(lines(tmp_path)) == LINES_MAX
    assert lines(tmp_path)[:2] == [f"7/2 {HERE}", f"8/1 {THERE}"]
    assert lines(tmp_path)[-1] == f"7/3 copy{LINES_MAX}:1"
    assert "its timeline is 1" in start(tmp_path, 7, 1)


def test_what_is_no_line_is_passed_over(tmp_path: Path) -> None:
    damaged = (
        b"\xff\x00\n7/2/1\nseven/2 db1:5432\n7/9 db1:5432,\xffb2:5432\n7/9 db1:5432,h\xc3\xb6st:1\n"
    )
    (tmp_path / NAME).write_bytes(damaged + f"7/2 {HERE}\n".encode())
    assert "its timeline is 1" in start(tmp_path, 7, 1)
    assert start(tmp_path, 7, 3) == ""
    assert lines(tmp_path) == [f"7/3 {HERE}"]


def test_a_look_that_fails_is_told_once_and_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it is: nobody else would tell this process of a new primary."""
    monkeypatch.setattr(one_primary, "LOOK_EVERY_S", 0.01)
    fails = [RuntimeError("odd")] * 3

    class Odd(PrimaryNote):
        def read(self) -> list[Sighting]:
            if threading.current_thread().name == NAME and fails and self.path.exists():
                raise fails.pop()
            return super().read()

    async def run() -> None:
        gateway = Primary(frozenset([HERE]), Odd(tmp_path / NAME, DurableFiles()))
        kept: Any = Connection(7, 1)
        assert await gateway.refusal(kept, 1) is None
        await asyncio.to_thread(eventually, lambda: not fails)
        assert await told(process(tmp_path), 7, 2) == ""
        async with asyncio.timeout(10):
            await kept.ended.wait()

    asyncio.run(run())
    (warned,) = [each.getMessage() for each in caplog.records if "failed" in each.getMessage()]
    assert "RuntimeError('odd')" in warned


@dataclass(frozen=True)
class Hung(PrimaryNote):
    """On a disk that does not answer, until it does."""

    answers: threading.Event = field(default_factory=threading.Event)
    asked: list[int] = field(default_factory=list)

    def read(self) -> list[Sighting]:
        self.asked.append(1)
        assert self.answers.wait(60)
        return super().read()


def test_a_note_that_does_not_answer_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No connection, no other use of the loop's threads, and no end of the process."""
    monkeypatch.setattr(one_primary, "NOTE_S", 0.05, raising=False)
    note = Hung(tmp_path / NAME, DurableFiles())

    async def run() -> None:
        primary = Primary(frozenset([HERE]), note)
        try:
            async with asyncio.timeout(20):
                assert set(await asyncio.gather(*[told(primary, 7, 2) for _ in range(40)])) == {""}
                begun = len(note.asked)
                for _ in range(3):
                    assert await told(primary, 7, 2) == ""
                assert len(note.asked) == begun, "none is begun while one is overdue"
                await asyncio.to_thread(int)
            (tmp_path / NAME).write_text(f"7/3 {HERE}\n")
        finally:
            note.answers.set()
        await asyncio.to_thread(eventually, lambda: asyncio.run(told(primary, 7, 2)) != "")

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    unanswered = [each for each in caplog.records if "does not answer" in each.getMessage()]
    assert len(unanswered) == 1


def test_a_start_whose_note_does_not_answer_takes_no_other_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the reading and the writing the disk went away."""
    monkeypatch.setattr(one_primary, "NOTE_S", 0.05)
    monkeypatch.setattr(one_primary, "_LOCK_OF_START_S", 0.05)
    note = Hung(tmp_path / NAME, DurableFiles())
    note.path.write_text(f"7/1 {HERE}\n")
    note.answers.set()

    class WroteNever(DurableFiles):
        def replace(self, path: Path, data: bytes) -> None:
            note.answers.clear()
            assert note.answers.wait(60)

    async def run() -> None:
        start = Primary(frozenset([HERE]), replace(note, files=WroteNever()), may_change=True)
        try:
            with pytest.raises(Unavailable, match="another server than") as refused:
                await told(start, 8, 1)
            assert why(refused.value) == "no answer in time"
        finally:
            note.answers.set()

    asyncio.run(run())


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", full)
        yield


def test_a_note_that_cannot_be_written_is_told_and_leaves_no_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with full_disk(), caplog.at_level(logging.WARNING):
        assert start(tmp_path, 7, 1) == ""
    assert [each.name for each in tmp_path.iterdir()] == [LOCK_NAME]
    (warned,) = [each.getMessage() for each in caplog.records]
    assert "could not be noted" in warned and "disk is full" in warned


def test_a_note_that_cannot_be_read_is_told_and_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).mkdir()
    with caplog.at_level(logging.WARNING):
        assert start(tmp_path, 7, 1) == ""
    assert [each.name for each in tmp_path.iterdir()] == [NAME]
    (warned,) = [each.getMessage() for each in caplog.records]
    assert "what others have seen is not known" in warned and str(tmp_path / NAME) in warned


def test_a_start_that_cannot_note_another_server_does_not_begin(tmp_path: Path) -> None:
    """Its own workers would refuse what it works with."""
    assert start(tmp_path, 7, 1) == ""
    words = rf"another server than {tmp_path / NAME} names"
    with full_disk():
        with pytest.raises(Unavailable, match=words) as told:
            start(tmp_path, 8, 1, may_change=True)
        assert why(told.value).startswith("[Errno 28] No space left on device")
        assert start(tmp_path, 7, 2, may_change=True) == "", "which is no other server"
    assert start(tmp_path, 8, 1, may_change=True) == ""
    assert start(tmp_path, 8, 1) == ""


def test_the_loop_waits_for_no_lock_and_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_primary, "LOOK_EVERY_S", 0.01)
    wrote = set[int]()

    class Watched(DurableFiles):
        def replace(self, path: Path, data: bytes) -> None:
            wrote.add(threading.get_ident())
            super().replace(path, data)

    async def run() -> None:
        gateway = Primary(frozenset([HERE]), PrimaryNote(tmp_path / NAME, Watched()))
        kept: Any = Connection(7, 1)
        with locked(tmp_path / LOCK_NAME):
            assert await gateway.refusal(kept, 1) is None
            await asyncio.sleep(0.05)  # and some looks
            assert not (tmp_path / NAME).exists()
        with locked(tmp_path):  # as while an invoice's number is kept
            await noted(tmp_path, f"7/1 {HERE}")
        assert await told(gateway, 7, 2) == ""
        await noted(tmp_path, f"7/2 {HERE}")
        assert wrote and threading.get_ident() not in wrote

    asyncio.run(run())


def test_what_still_runs_does_not_undo_a_removal_of_the_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_primary, "LOOK_EVERY_S", 0.01)

    async def run() -> None:
        left = process(tmp_path)
        kept: Any = Connection(7, 1)
        assert await left.refusal(kept, 1) is None
        with locked(tmp_path / LOCK_NAME):
            (tmp_path / NAME).write_text(f"8/1 {HERE}\n9/1 {THERE}\n")  # of a start since then
        await noted(tmp_path, f"7/1 {HERE}")
        assert lines(tmp_path) == [f"7/1 {HERE}", f"8/1 {HERE}", f"9/1 {THERE}"]
        assert await told(process(tmp_path), 8, 1) == ""

    asyncio.run(run())


def test_a_line_without_hosts_is_of_the_url_that_is_asked_about(tmp_path: Path) -> None:
    """As an older version wrote it."""
    (tmp_path / NAME).write_text("7/2\n")
    assert "its timeline is 1" in start(tmp_path, 7, 1)
    assert "another server" in start(tmp_path, 8, 1)
    assert start(tmp_path, 7, 2) == ""
    assert lines(tmp_path) == [f"7/2 {HERE}"]
    (tmp_path / NAME).write_text("7/2\n")
    assert start(tmp_path, 8, 1, may_change=True) == ""
    assert lines(tmp_path) == [f"7/2 {HERE}", f"8/1 {HERE}"]


def test_who_refuses_another_server_says_what_helps_every_process(tmp_path: Path) -> None:
    async def run() -> None:
        worker = process(tmp_path)
        assert await told(worker, 7, 1) == ""
        for each in (worker, process(tmp_path)):
            said = await told(each, 8, 1)
            assert "restart `serve` of this data folder, or run `tenantry migrate` here" in said

    asyncio.run(run())
