"""What the processes of a data folder tell each other of the servers that they have seen."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.primary_notes import (
    HERE,
    THERE,
    Connection,
    Watched,
    lines,
    locked,
    noted,
    process,
    start,
    told,
)
from tests.support.waiting import eventually

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres import one_primary
from tenantry.adapters.postgres.one_primary import Primary
from tenantry.adapters.postgres.primary_note import (
    LINES_MAX,
    LOCK_NAME,
    NAME,
    PrimaryNote,
    Sighting,
)

pytestmark = pytest.mark.usefixtures("patient_note")


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
        note = Watched(tmp_path / NAME, DurableFiles())
        gateway = Primary(frozenset([HERE]), note)
        kept: Any = Connection(7, 1)
        assert await gateway.refusal(kept, 1) is None
        with caplog.at_level(logging.WARNING):
            assert await told(process(tmp_path, THERE), 7, 2) == ""
        (warned,) = [each.getMessage() for each in caplog.records]
        assert f"at {THERE} has gone on to timeline 2 from the one at {HERE} (1)" in warned
        await note.looked_at()
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
