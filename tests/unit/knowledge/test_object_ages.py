"""How old an object is: a clock that is ahead, of whichever machine, makes nothing old."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support import knowledge as support

from tenantry.adapters.objects import disk
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import ROOT_MARK, DurableFiles
from tenantry.application.tending import empty_trash, sweep_orphans
from tenantry.domain.document import home_of
from tenantry.domain.errors import Unavailable
from tenantry.ports.objects import ObjectKind

A, B = (home_of(support.tenant("tnt_" + each * 26)) for each in "ab")
DAY_S = 86_400.0
KINDS = (ObjectKind.SEGMENT, ObjectKind.TRASH)


class FileServer(DurableFiles):
    """Whose clock is ahead of this machine's, or is not told."""

    ahead_s: float | None = 0.0

    def now(self, folder: Path) -> float:
        if self.ahead_s is None:
            raise Unavailable("The disk refused a write.")
        return super().now(folder) + self.ahead_s


async def always() -> bool:
    return True


def store(root: Path, files: type[DurableFiles] = DurableFiles) -> DiskObjects:
    (root / ROOT_MARK).touch()
    return DiskObjects(root, files(root), trash_s=7 * DAY_S)


async def swept(objects: DiskObjects) -> int:
    """How many objects are swept of A, and out of its trash; those of B stay."""
    manifest = support.MemoryManifest()
    for home in (A, B):
        await objects.put(home, ObjectKind.SEGMENT, "fresh", b"x")  # whose row is on its way
        await objects.put(home, ObjectKind.SEGMENT, "thrown", b"x")
        await objects.discard(home, ObjectKind.SEGMENT, "thrown")
    done = await sweep_orphans(A, objects, manifest, always)
    done += await empty_trash(A, objects, manifest, always)
    for kind in KINDS:
        assert len(await objects.list(B, kind)) == 1
    return done


@pytest.mark.parametrize("ahead_s", [2 * 3_600.0, 8 * DAY_S])
def test_this_machines_clock_that_is_ahead_makes_nothing_old(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ahead_s: float | None,
) -> None:
    real = time.time
    monkeypatch.setattr(disk, "time", SimpleNamespace(time=lambda: real() + ahead_s))
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(swept(store(tmp_path))) == 0
    (told,) = caplog.messages
    assert told.startswith(f"the clock of the disk is {-ahead_s:+.0f} s from this machine's")


@pytest.mark.parametrize("ahead_s", [2 * 3_600.0, 8 * DAY_S, None])
def test_the_stores_clock_that_is_ahead_or_not_told_makes_nothing_old(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ahead_s: float | None,
) -> None:
    monkeypatch.setattr(FileServer, "ahead_s", ahead_s)
    objects = store(tmp_path, FileServer)
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(swept(objects)) == 0
        monkeypatch.setattr(FileServer, "ahead_s", 0.0)
        assert len(asyncio.run(objects.list(A, ObjectKind.SEGMENT))) == 1
    assert len(caplog.messages) == 1, "told once, until it is in order again"


def test_what_is_old_by_both_clocks_is_old(tmp_path: Path) -> None:
    async def run() -> None:
        objects = store(tmp_path)
        await objects.put(A, ObjectKind.SEGMENT, "one", b"x")
        path = objects._path(A, ObjectKind.SEGMENT, "one")
        at = path.stat().st_mtime - 3_600
        os.utime(path, (at, at))
        (entry,) = await objects.list(A, ObjectKind.SEGMENT)
        assert 3_599 < entry.age_s < 3_700
        assert await objects.list(B, ObjectKind.SEGMENT) == []

    asyncio.run(run())
