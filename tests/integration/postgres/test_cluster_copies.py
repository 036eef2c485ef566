"""Of a home and its copy only one has the database; a home that was moved keeps it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import new_cluster, scratch_folder

from tenantry.adapters.postgres.embedded import EmbeddedCluster, place
from tenantry.adapters.postgres.embedded.account import Account
from tenantry.adapters.postgres.errors import ClusterFailed, ClusterMismatch

OURSELVES = Account(os.geteuid(), os.getegid(), switched=False)


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as scratch:
        yield scratch


@pytest.fixture
def original(folder: Path) -> EmbeddedCluster:
    """A cluster that has run once, and is stopped."""
    cluster = new_cluster(folder)
    cluster.start()
    cluster.stop()
    return cluster


def copied(cluster: EmbeddedCluster, name: str = "copy") -> EmbeddedCluster:
    target = cluster.home.with_name(name)
    sockets = shutil.ignore_patterns(".s.PGSQL.*")  # which nothing can copy
    shutil.copytree(cluster.home, target, symlinks=True, ignore=sockets)
    return new_cluster(target.parent, name)


def place_of(cluster: EmbeddedCluster) -> place.Place:
    where = place.known_place(cluster.home)
    assert where is not None
    return where


def mark_of(cluster: EmbeddedCluster) -> dict[str, str]:
    found: dict[str, str] = json.loads(place_of(cluster).mark.read_text())
    return found


def answers(cluster: EmbeddedCluster) -> bool:
    async def run() -> bool:
        connection = await asyncpg.connect(cluster.dsn("superuser"))
        try:
            return bool(await connection.fetchval("SELECT true"))
        finally:
            await connection.close()

    return asyncio.run(run())


def test_a_copy_is_refused_and_both_are_named(original: EmbeddedCluster) -> None:
    copy = copied(original)
    with pytest.raises(ClusterMismatch) as refused:
        copy.start()
    told = str(refused.value)
    assert told.startswith(f"{copy.home} is a copy of {original.home}, ")
    assert f"remove {copy.home / 'cluster'}" in told
    assert "dump" in told
    assert mark_of(original)["home"] == str(original.home)


def test_a_copy_neither_ends_nor_uses_what_runs(original: EmbeddedCluster) -> None:
    original.start()
    try:
        copy = copied(original)
        for use in (copy.start, copy.attach):
            with pytest.raises(ClusterMismatch, match=f"copy of {original.home}, "):
                use()
        assert answers(original)
        status = original.status()
        assert status is not None
        assert status.restarts == 0
    finally:
        original.stop()


def test_a_copy_that_drops_the_name_begins_with_an_empty_database(
    original: EmbeddedCluster,
) -> None:
    copy = copied(original)
    (copy.home / "cluster").unlink()
    shutil.rmtree(copy.home / "postgres", ignore_errors=True)
    copy.start()
    copy.stop()
    assert place_of(copy).uuid != place_of(original).uuid
    original.start()
    original.stop()


def test_a_moved_home_takes_the_database_with_it(original: EmbeddedCluster) -> None:
    """And what is put back where it was is the copy from then on, where both have one database."""
    backup = copied(original, "backup")
    shutil.move(original.home, original.home.with_name("moved"))
    moved = new_cluster(original.home.parent, "moved")
    moved.start()
    try:
        assert mark_of(moved)["home"] == str(moved.home)
        shutil.move(backup.home, original.home)
        if place_of(moved).folder.is_relative_to(moved.home):
            return  # each has brought its own
        for use in (original.start, original.attach):
            with pytest.raises(ClusterMismatch, match=f"{original.home} is a copy of {moved.home}"):
                use()
    finally:
        moved.stop()


def test_a_home_by_another_name_is_the_same(original: EmbeddedCluster) -> None:
    link = original.home.with_name("link")
    link.symlink_to(original.home)
    by_link = new_cluster(link.parent, "link")
    by_link.start()
    try:
        assert mark_of(original)["home"] == str(original.home)
        original.attach()
        assert answers(original)
    finally:
        by_link.stop()


@pytest.mark.parametrize("left", ["nothing", "another cluster", "a file"])
def test_what_is_left_where_the_mark_says_may_be_something_else(folder: Path, left: str) -> None:
    home, before = folder / "home", folder / "before"
    place.find_place(home, OURSELVES)
    mark = home / "postgres" / "cluster"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "home": str(before)}))
    if left == "another cluster":
        place.find_place(before, OURSELVES)
    elif left == "a file":
        before.touch()
    where = place.find_place(home, OURSELVES)
    place.take_over(where, OURSELVES)
    assert json.loads(mark.read_text()) == {"uuid": where.uuid, "home": str(home)}


def test_a_copy_whose_database_lies_outside_is_refused(folder: Path) -> None:
    """As root's does, and that of a home whose folder is a link to a larger disk."""
    home, copy, disk = folder / "home", folder / "copy", folder / "disk"
    home.mkdir()
    disk.mkdir()
    (home / "postgres").symlink_to(disk)
    place.find_place(home, OURSELVES)
    shutil.copytree(home, copy, symlinks=True)
    with pytest.raises(ClusterMismatch) as refused:
        place.find_place(copy, OURSELVES)
    assert f"remove {copy / 'cluster'} to begin" in str(refused.value)
    assert (
        place.find_place(home, OURSELVES).uuid == json.loads((home / "cluster").read_text())["uuid"]
    )


def test_who_attaches_to_what_has_ended_is_told_where_to_look(original: EmbeddedCluster) -> None:
    """Its Tenantry lives yet, and its last word has no reason."""
    lock = place.take_lock(place_of(original))
    try:
        with pytest.raises(ClusterFailed, match=r"it has ended; see .*postgres\.log"):
            new_cluster(original.home.parent).attach()
    finally:
        os.close(lock)
