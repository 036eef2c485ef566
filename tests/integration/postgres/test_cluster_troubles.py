"""What is told of an embedded server in trouble, and that it answers again when it does."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.support.clusters import ask, status_of
from tests.support.postgres import new_cluster, scratch_folder
from tests.support.waiting import eventually

from tenantry.adapters.postgres.dial import connect
from tenantry.adapters.postgres.embedded import EmbeddedCluster

AGAIN = "PostgreSQL answers again"


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    with scratch_folder() as folder:
        made = new_cluster(folder)
        made.start()
        eventually(lambda: made._news._seen is not None)
        try:
            yield made
        finally:
            made.stop()


def told(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return any(words in message for message in caplog.messages)


def test_a_socket_that_is_removed_comes_back_and_the_outage_names_it(
    cluster: EmbeddedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    before = status_of(cluster)
    socket = Path(before.socket_dir, f".s.PGSQL.{before.port}")
    socket.unlink()
    with pytest.raises(FileNotFoundError, match=f"'{socket}'"):
        asyncio.run(connect(cluster.dsn("app")))
    eventually(lambda: told(caplog, AGAIN))
    assert told(caplog, f"PostgreSQL ended and is started again: (its socket is gone: {socket})")
    assert ask(cluster, "SELECT 1") == 1
    assert status_of(cluster).restarts == 1


def test_a_crash_of_a_backend_is_told(
    cluster: EmbeddedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash() -> int:
        connection = await asyncpg.connect(cluster.dsn("superuser"))
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            while True:
                await connection.fetchval("SELECT pg_sleep(0.01)")
        return pid

    before = status_of(cluster)
    pid = asyncio.run(crash())
    eventually(lambda: told(caplog, AGAIN))
    assert told(caplog, f"(PID {pid}) was terminated by signal 9: Killed")
    assert ask(cluster, "SELECT 1") == 1
    after = status_of(cluster)
    assert (after.postmaster_pid, after.restarts) == (before.postmaster_pid, 0)


def test_a_server_that_lets_nobody_in_is_not_said_to_answer(
    cluster: EmbeddedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    maintenance = {"database": "postgres"}
    ask(cluster, "ALTER DATABASE tenantry ALLOW_CONNECTIONS false", **maintenance)
    os.kill(status_of(cluster).postmaster_pid, signal.SIGKILL)
    eventually(lambda: told(caplog, "PostgreSQL runs and lets nobody in: database"))
    assert not told(caplog, AGAIN)
    ask(cluster, "ALTER DATABASE tenantry ALLOW_CONNECTIONS true", **maintenance)
    eventually(lambda: told(caplog, AGAIN))
