"""The embedded cluster through every death: its own, its guardian's, its parent's, and all."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.clusters import ask, status_of
from tests.support.postgres import new_cluster, scratch_folder
from tests.support.waiting import eventually

from tenantry.adapters.postgres.embedded import EmbeddedCluster, place
from tenantry.adapters.postgres.embedded import cluster as cluster_module
from tenantry.adapters.postgres.embedded.account import database_account
from tenantry.adapters.postgres.errors import ClusterInUse, ClusterNotRunning
from tenantry.adapters.postgres.guardian import processes

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One home for the module: each test starts its cluster and leaves it stopped (1 s saved)."""
    with scratch_folder() as scratch:
        yield scratch


def spawn(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start another Tenantry; return it and the one line that it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.cluster_process", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def put_away(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    process.wait(PATIENCE_S)


def members(cluster: EmbeddedCluster) -> list[int]:
    where = place.known_place(cluster.home)
    assert where is not None
    return processes.find_members(where.uuid, database_account().uid)


def test_it_starts_answers_on_both_doors_stops_and_keeps_its_data(folder: Path) -> None:
    cluster = new_cluster(folder)
    cluster.start()
    ask(cluster, "CREATE TABLE life AS SELECT 42 AS value")
    assert ask(cluster, "SELECT value FROM life", over="tcp") == 42
    cluster.stop()
    assert members(cluster) == []
    assert status_of(cluster).state == "stopped"
    with pytest.raises(ClusterNotRunning):
        cluster.attach()
    again = new_cluster(folder)
    again.start()
    try:
        assert ask(again, "SELECT value FROM life") == 42
    finally:
        again.stop()


def test_every_door_wants_the_password(folder: Path) -> None:
    cluster = new_cluster(folder)
    cluster.start()
    try:
        status = status_of(cluster)
        for host in ("127.0.0.1", status.socket_dir):
            for user in ("tenantry_app", "tenantry_superuser"):
                with pytest.raises(asyncpg.InvalidPasswordError):
                    asyncio.run(
                        asyncpg.connect(
                            host=host, port=status.port, user=user, password="guess", ssl=False
                        )
                    )
        query = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
        assert ask(cluster, query) == "scram-sha-256"
        assert ask(cluster, "SHOW listen_addresses") == "127.0.0.1"
        assert Path(status.socket_dir).stat().st_mode & 0o777 == 0o700
        assert (cluster.home / "postgres.secrets").stat().st_mode & 0o777 == 0o600
    finally:
        cluster.stop()


def test_what_a_commit_rests_on_is_on(folder: Path) -> None:
    cluster = new_cluster(folder)
    cluster.start()
    try:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert ask(cluster, f"SHOW {name}") == "on"
        query = "SELECT datcollate || datctype || pg_encoding_to_char(encoding) FROM pg_database"
        assert ask(cluster, f"{query} WHERE datname = 'tenantry'") == "CCUTF8"
    finally:
        cluster.stop()


def test_a_killed_postmaster_comes_back_with_every_commit(folder: Path) -> None:
    cluster = new_cluster(folder)
    cluster.start()
    try:
        ask(cluster, "CREATE TABLE kept AS SELECT 42 AS value")
        for _ in range(2):
            before = status_of(cluster)
            os.kill(before.postmaster_pid, signal.SIGKILL)
            eventually(
                lambda: (
                    status_of(cluster).state == "ready"
                    and status_of(cluster).restarts > before.restarts  # noqa: B023
                )
            )
            assert status_of(cluster).port == before.port
            assert ask(cluster, "SELECT value FROM kept") == 42
    finally:
        cluster.stop()
    assert members(cluster) == []


def test_a_postmaster_that_keeps_dying_is_given_up(folder: Path) -> None:
    cluster = new_cluster(folder)
    cluster.start()
    try:
        where = place.known_place(cluster.home)
        assert where is not None
        (where.data / "postgresql.conf").write_text("no_such_setting = 1\n")
        os.kill(status_of(cluster).postmaster_pid, signal.SIGKILL)
        eventually(lambda: status_of(cluster).state == "failed")
        assert "no_such_setting" in status_of(cluster).reason
    finally:
        cluster.stop()
    cluster.start()  # which writes the settings anew
    cluster.stop()


def test_a_killed_guardian_is_replaced(folder: Path) -> None:
    cluster = new_cluster(folder)
    cluster.start()
    try:
        before = status_of(cluster)
        os.kill(before.guardian_pid, signal.SIGKILL)
        eventually(
            lambda: (
                (now := cluster.status()) is not None
                and now.state == "ready"
                and now.guardian_pid != before.guardian_pid
            )
        )
        assert ask(cluster, "SELECT 1") == 1
        assert not processes.is_alive(before.postmaster_pid)
    finally:
        cluster.stop()
    assert members(cluster) == []


def test_a_guardian_that_is_not_replaced_any_more_is_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "GUARDIAN_RESTARTS_MAX", 0)
    cluster = new_cluster(folder)
    cluster.start()
    try:
        assert cluster.failure() is None
        os.kill(status_of(cluster).guardian_pid, signal.SIGKILL)
        eventually(cluster.failure)
        assert "postgres.log" in str(cluster.failure())
    finally:
        cluster.stop()
    assert cluster.failure() is None


def test_it_ends_with_its_killed_parent(folder: Path) -> None:
    process, said = spawn(folder)
    assert processes.is_alive(said["ready"]["postmaster_pid"])
    process.kill()
    cluster = new_cluster(folder)
    eventually(lambda: members(cluster) == [])
    eventually(lambda: not processes.is_alive(said["ready"]["guardian_pid"]))
    put_away(process)


@pytest.mark.parametrize("also_postmaster", [False, True])
def test_nothing_is_left_when_all_are_killed(folder: Path, also_postmaster: bool) -> None:
    process, said = spawn(folder)
    cluster = new_cluster(folder)
    victims = [process.pid, said["ready"]["guardian_pid"]]
    victims += [said["ready"]["postmaster_pid"]] * also_postmaster
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    put_away(process)
    cluster.start()  # straight away, onto whatever is still there
    try:
        assert ask(cluster, "SELECT 1") == 1
        assert status_of(cluster).postmaster_pid != said["ready"]["postmaster_pid"]
    finally:
        cluster.stop()


def test_an_orphaned_server_is_ended_before_another_starts(folder: Path) -> None:
    """A stopped process takes no signal but SIGKILL: as stubborn an orphan as can be."""
    process, said = spawn(folder)
    os.kill(said["ready"]["postmaster_pid"], signal.SIGSTOP)
    for victim in (process.pid, said["ready"]["guardian_pid"]):
        os.kill(victim, signal.SIGKILL)
    put_away(process)
    os.kill(said["ready"]["postmaster_pid"], signal.SIGCONT)
    cluster = new_cluster(folder)
    cluster.start()
    try:
        assert ask(cluster, "SELECT 1") == 1
        assert not processes.is_alive(said["ready"]["postmaster_pid"])
    finally:
        cluster.stop()


def test_a_stale_pid_file_of_a_living_stranger_does_not_hinder(folder: Path) -> None:
    cluster = new_cluster(folder)
    cluster.start()
    cluster.stop()
    where = place.known_place(cluster.home)
    assert where is not None
    (where.data / "postmaster.pid").write_text(f"{os.getpid()}\n{where.data}\n1\n5432\n\n\n\n")
    cluster.start()
    cluster.stop()


def test_a_taken_port_is_left_to_its_owner(folder: Path) -> None:
    cluster = new_cluster(folder)
    cluster.start()
    port = status_of(cluster).port
    cluster.stop()
    with socket.create_server(("127.0.0.1", port)):
        cluster.start()
        try:
            assert status_of(cluster).port != port
            assert ask(cluster, "SELECT 1", over="tcp") == 1
        finally:
            cluster.stop()


def test_a_second_instance_is_refused_and_may_attach(folder: Path) -> None:
    process, said = spawn(folder)
    second = new_cluster(folder)
    with pytest.raises(ClusterInUse, match=str(process.pid)):
        second.start()
    second.attach()
    assert ask(second, "SELECT 1") == 1
    assert second.dsn("app") == said["dsn"]
    second.stop()  # not its own: nothing happens
    assert ask(second, "SELECT 1") == 1
    put_away(process)
    assert process.returncode == 0
    with pytest.raises(ClusterNotRunning):
        second.dsn("app")


def test_two_first_starts_race_and_one_wins() -> None:
    with scratch_folder() as fresh:
        _race(fresh)


def _race(folder: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.cluster_process", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    said = []
    for process in both:
        assert process.stdout is not None
        said.append(json.loads(process.stdout.readline()))
    for process in both:
        put_away(process)
    assert sorted("ready" in word for word in said) == [False, True]
    assert [word["refused"] for word in said if "refused" in word] == ["ClusterInUse"]
