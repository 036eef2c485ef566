"""Which full disk means that a worker should get no requests."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tenantry.adapters import disks
from tenantry.adapters.disks import DATABASE, HOME, Disks
from tenantry.domain.errors import Unavailable
from tenantry.entrypoints.http.readiness import InThread

NO_DISK_HAS_SO_MUCH = 2**62


def test_a_database_without_room_is_unavailable_and_a_home_serves_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disks({HOME: tmp_path, DATABASE: tmp_path}).check_room()
    monkeypatch.setattr(disks, "ROOM_BYTES_MIN", NO_DISK_HAS_SO_MUCH)
    Disks({HOME: tmp_path}).check_room()
    with pytest.raises(Unavailable, match="disk is full"):
        Disks({HOME: tmp_path, DATABASE: tmp_path}).check_room()


def test_a_disk_that_does_not_say_is_left_out(tmp_path: Path) -> None:
    asked = Disks({HOME: tmp_path, DATABASE: tmp_path / "gone"})
    assert list(asked.free_bytes()) == [HOME]
    asked.check_room()


def test_a_file_system_that_knows_no_sizes_is_not_taken_for_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = SimpleNamespace(total=0, used=0, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: unknown)
    asked = Disks({HOME: tmp_path, DATABASE: tmp_path})
    assert asked.free_bytes() == {}
    asked.check_room()


def test_a_home_that_never_answers_takes_one_thread_and_no_readiness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, answers, asked = tmp_path / "home", threading.Event(), []

    def hangs(folder: Path) -> object:
        asked.append(folder)
        if folder == home:
            answers.wait()
        return SimpleNamespace(total=2**40, used=0, free=2**40)

    async def body() -> None:
        disks = Disks({HOME: home, DATABASE: tmp_path})
        free_bytes = InThread(disks.free_bytes)
        try:
            for _ in range(3):
                asking = asyncio.create_task(free_bytes())
                await asyncio.sleep(0)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            await InThread(disks.check_room)()
        finally:
            answers.set()
        assert set(await free_bytes()) == {HOME, DATABASE}
        assert asked.count(home) == 1

    monkeypatch.setattr(shutil, "disk_usage", hangs)
    asyncio.run(body())
