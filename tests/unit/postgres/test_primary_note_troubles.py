"""A note of servers that does not answer, or cannot be read or written, holds nobody up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.primary_notes import (
    HERE,
    Connection,
    Watched,
    locked,
    noted,
    start,
    told,
)
from tests.support.waiting import eventually

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres import one_primary
from tenantry.adapters.postgres.one_primary import Primary
from tenantry.adapters.postgres.outages import why
from tenantry.adapters.postgres.primary_note import (
    LOCK_NAME,
    NAME,
    PrimaryNote,
    Sighting,
)
from tenantry.domain.errors import Unavailable

pytestmark = pytest.mark.usefixtures("patient_note")


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
def full_disk(home: Path) -> Iterator[None]:
    """For that data folder alone: a look of an earlier test may not have ended."""
    replaced = Path.replace

    def full(path: Path, target: Path) -> Path:
        if path.is_relative_to(home):
            raise OSError(28, "No space left on device")
        return replaced(path, target)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", full)
        yield


def test_a_note_that_cannot_be_written_is_told_and_leaves_no_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with full_disk(tmp_path), caplog.at_level(logging.WARNING):
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
    with full_disk(tmp_path):
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
    monkeypatch.setattr(one_primary, "LOCK_S", 0.05)
    wrote = set[int]()

    class Threads(DurableFiles):
        def replace(self, path: Path, data: bytes) -> None:
            wrote.add(threading.get_ident())
            super().replace(path, data)

    async def run() -> None:
        note = Watched(tmp_path / NAME, Threads())
        gateway = Primary(frozenset([HERE]), note)
        kept: Any = Connection(7, 1)
        with locked(tmp_path / LOCK_NAME):
            assert await gateway.refusal(kept, 1) is None
            await note.looked_at()
            assert not (tmp_path / NAME).exists()
        with locked(tmp_path):  # as while an invoice's number is kept
            await noted(tmp_path, f"7/1 {HERE}")
        assert await told(gateway, 7, 2) == ""
        await noted(tmp_path, f"7/2 {HERE}")
        assert wrote and threading.get_ident() not in wrote

    asyncio.run(run())
