"""Which full disk means that a worker should get no requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tenantry.adapters import disks
from tenantry.adapters.disks import DATABASE, HOME, Disks
from tenantry.domain.errors import Unavailable

NO_DISK_HAS_SO_MUCH = 2**62


def test_a_database_without_room_is_unavailable_and_a_home_serves_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(Disks({HOME: tmp_path, DATABASE: tmp_path}).check_room())
    monkeypatch.setattr(disks, "ROOM_BYTES_MIN", NO_DISK_HAS_SO_MUCH)
    asyncio.run(Disks({HOME: tmp_path}).check_room())
    with pytest.raises(Unavailable, match="disk is full"):
        asyncio.run(Disks({HOME: tmp_path, DATABASE: tmp_path}).check_room())


def test_a_disk_that_does_not_say_is_left_out(tmp_path: Path) -> None:
    asked = Disks({HOME: tmp_path, DATABASE: tmp_path / "gone"})
    assert list(asyncio.run(asked.free_bytes())) == [HOME]
    asyncio.run(asked.check_room())
