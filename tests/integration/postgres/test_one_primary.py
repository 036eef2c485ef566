"""Of two servers that both take writes, the one of the later timeline is used, and no other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.own_server import (
    OwnServer,
    execute,
    let_in,
    own_server,
    started_own_server,
    tenantry,
)

from tenantry.adapters.postgres import one_primary
from tenantry.adapters.postgres.dial import connect, reach
from tenantry.adapters.postgres.outages import why
from tenantry.adapters.postgres.primary_note import LOCK_NAME, NAME
from tenantry.domain.errors import Unavailable

_PORT = "SELECT inet_server_port()"
# A process with a connection that it keeps, and opens no other. Tells the port, and when it ended.
_KEEPS = """
import asyncio, pathlib, sys
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.dial import reach
from tenantry.adapters.postgres.one_primary import note_primary

async def main(url, folder):
    note_primary(url, pathlib.Path(folder), DurableFiles())
    kept = await reach(url, timeout=30)
    ended = asyncio.Event()
    kept.add_termination_listener(lambda _: ended.set())
    print(await kept.fetchval("SELECT inet_server_port()"), flush=True)
    await ended.wait()
    print("ended", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@contextlib.contextmanager
def keeping(url: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process of that folder, which has a connection."""
    process = subprocess.Popen(
        [sys.executable, "-c", _KEEPS, url, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextlib.contextmanager
def pair() -> Iterator[tuple[OwnServer, OwnServer, str]]:
    """A primary, a standby of it, and a URL that names both in this order."""
    with started_own_server() as old, own_server() as new:
        new.follow(old.url)
        new.start()
        hosts = f"127.0.0.1:{old.port},127.0.0.1:{new.port}"
        yield old, new, f"postgresql://master:secret@{hosts}/product?sslmode=disable"


def port_of(url: str, timeout_s: float = 30) -> int | None:
    async def run() -> int:
        connection = await reach(url, timeout=timeout_s)
        try:
            port: int | None = await connection.fetchval(_PORT)
            return port
        finally:
            await connection.close()

    return asyncio.run(run())


def refusal_of(url: str, timeout_s: float = 30) -> str:
    """Why no server of it is used, as an operator is told. A tenant hears of no host."""
    with pytest.raises(Unavailable) as refused:
        port_of(url, timeout_s)
    assert refused.value.message == "The database must not be used."
    return why(refused.value)


def test_an_old_primary_that_comes_back_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    with pair() as (old, new, url):
        assert port_of(url) == old.port
        old.stop()
        new.promote()
        assert port_of(url) == new.port
        old.start()  # nobody has fenced it
        with caplog.at_level(logging.ERROR):
            assert [port_of(url) for _ in range(3)] == [new.port] * 3
        (line,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
        assert f"127.0.0.1:{old.port} is not used: its timeline is 1" in line
        new.stop()
        told = refusal_of(url)
        assert f"127.0.0.1:{old.port} is not used: its timeline is 1" in told
        assert "No other host will do: [Errno 111] Connect call failed" in told


def test_an_old_primary_is_named_whatever_the_other_hosts_do() -> None:
    """They are a standby of it, a server that never answers, one that refuses the login, several
    that are down."""
    with pair() as (old, new, url), own_server() as standby, silent_server() as silent:
        standby.follow(old.url)
        standby.start()
        old.stop()
        new.promote()
        assert port_of(url) == new.port
        old.start()
        let_in(new.url, "host all master 127.0.0.1/32 reject")
        beside = {
            f"127.0.0.1:{standby.port}": "None of the hosts match the target attribute",
            f"127.0.0.1:{silent}": "no answer in time",
            f"127.0.0.1:{new.port}": "pg_hba.conf rejects connection",
            "127.0.0.1:1,127.0.0.1:2": "[Errno 111] Connect call failed",
        }
        for others, reason in beside.items():
            hosts = f"127.0.0.1:{old.port},{others}"
            other = f"postgresql://master:secret@{hosts}/product?sslmode=disable"
            knows(other, url)
            told = refusal_of(other, timeout_s=3)
            assert told.startswith(
                f"The database at 127.0.0.1:{old.port} is not used: its timeline"
            )
            assert f". No other host will do: {reason}" in told


def knows(url: str, other: str) -> None:
    """What this process has seen behind the other URL."""
    one, seen = one_primary.primary_of(url), one_primary.primary_of(other)
    assert one is not None and seen is not None
    one.seen = seen.seen


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_an_old_primary_behind_a_socket_is_passed_over_for_a_host() -> None:
    with pair() as (old, new, _):
        where = f"host={old.folder},127.0.0.1&port={old.port},{new.port}"
        url = f"postgresql://master:secret@/product?{where}&sslmode=disable"
        assert port_of(url) is None, "of a socket"
        old.stop()
        new.promote()
        assert port_of(url) == new.port
        old.start()
        assert port_of(url) == new.port
        new.stop()
        assert f"{old.folder}/.s.PGSQL.{old.port} is not used: its timeline is 1" in refusal_of(url)


def test_what_is_open_to_the_old_primary_ends_with_the_first_word_of_the_new_one() -> None:
    async def run(old: OwnServer, new: OwnServer, url: str) -> None:
        kept = await connect(url, timeout=30)
        assert await kept.fetchval(_PORT) == old.port
        await asyncio.to_thread(new.promote)  # and the old one goes on
        whose = one_primary.primary_of(url)
        assert whose is not None
        at_new = await asyncpg.connect(new.url)
        try:
            assert await whose.refusal(at_new, 30) is None
            await asyncio.sleep(0)
            assert kept.is_closed() and not at_new.is_closed()
        finally:
            await at_new.close()

    with pair() as (old, new, url):
        asyncio.run(run(old, new, url))


def test_other_processes_of_the_machine_leave_the_old_primary_too(tmp_path: Path) -> None:
    with pair() as (old, new, _):
        hosts = f"127.0.0.1:{new.port},127.0.0.1:{old.port}"
        url = f"postgresql://master:secret@{hosts}/product?sslmode=disable"
        with keeping(url, tmp_path) as one:
            assert line_of(one) == str(old.port)
            new.promote()  # and the old one goes on
            with keeping(url, tmp_path) as other:
                assert line_of(other) == str(new.port)
                assert line_of(one) == "ended"
                assert other.poll() is None


def test_a_look_at_a_promoted_copy_stops_nobody(tmp_path: Path) -> None:
    with started_own_server() as production, own_server() as copy:
        done = tenantry(tmp_path, production.url, "migrate")
        assert done.returncode == 0, done.stderr
        copy.follow(production.url)
        copy.start()
        copy.promote()
        url = f"{production.url}?sslmode=disable"
        with keeping(url, tmp_path / "control") as gateway:
            assert line_of(gateway) == str(production.port)
            looked = tenantry(tmp_path, copy.url, "tenants", "list")
            assert looked.returncode == 0, looked.stderr
            assert "has gone on to timeline 2" in looked.stderr
            done = tenantry(tmp_path, production.url, "tenants", "create", "acme", "--plan", "pro")
            assert done.returncode == 0, done.stderr
            assert f"127.0.0.1:{copy.port} has gone on from it to 2" in done.stderr
            assert gateway.poll() is None
        assert "acme" not in tenantry(tmp_path, copy.url, "tenants", "list").stdout


def test_a_look_at_an_unrelated_server_forgets_no_timeline(tmp_path: Path) -> None:
    with pair() as (old, new, url), started_own_server() as unrelated:
        assert tenantry(tmp_path, url, "migrate").returncode == 0
        old.stop()
        new.promote()
        for each in (url, unrelated.url):
            done = tenantry(tmp_path, each, "migrate")
            assert done.returncode == 0, done.stderr
        new.stop()
        old.start()
        told = tenantry(tmp_path, url, "tenants", "list")
        assert told.returncode == 1 and "its timeline is 1" in told.stderr


def test_another_server_is_no_second_choice() -> None:
    with started_own_server() as one, started_own_server() as other:
        hosts = f"127.0.0.1:{one.port},127.0.0.1:{other.port}"
        url = f"postgresql://master:secret@{hosts}/product?sslmode=disable"
        assert port_of(url) == one.port
        one.stop()
        assert "another server" in refusal_of(url)
        one.start()
        assert port_of(url) == one.port


def test_a_switch_that_cannot_be_noted_ends_the_start_that_makes_it(tmp_path: Path) -> None:
    with started_own_server() as server:
        assert tenantry(tmp_path, server.url, "migrate").returncode == 0
        note, lock = (tmp_path / "control" / name for name in (NAME, LOCK_NAME))
        note.write_text(f"7/1 127.0.0.1:{server.port}\n")  # in whose place it is
        lock.unlink()
        lock.mkdir()  # nothing can be written
        told = tenantry(tmp_path, server.url, "migrate")
        assert told.returncode == 1 and str(note) in told.stderr
        assert "Is a directory" in told.stderr and len(told.stderr.splitlines()) == 1
        lock.rmdir()
        assert tenantry(tmp_path, server.url, "tenants", "list").returncode == 1
        assert tenantry(tmp_path, server.url, "migrate").returncode == 0
        assert tenantry(tmp_path, server.url, "tenants", "list").returncode == 0


def test_a_note_on_a_disk_that_hangs_holds_up_no_command(tmp_path: Path) -> None:
    """Nor its end. Whoever opens the pipe waits, as for such a disk."""
    with started_own_server() as server:
        assert tenantry(tmp_path, server.url, "migrate").returncode == 0
        note = tmp_path / "control" / NAME
        note.unlink()
        os.mkfifo(note)
        told = tenantry(tmp_path, server.url, "tenants", "list")
        assert told.returncode == 0, told.stderr
        assert told.stderr.count("the note does not answer") == 1


def test_a_server_that_does_not_tell_its_timeline_is_taken_as_it_is() -> None:
    with started_own_server() as server:
        superuser = server.url.replace("master:", "postgres:")
        execute(superuser, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        assert port_of(f"{server.url}?sslmode=disable") == server.port


def test_a_restart_knows_which_primary_is_the_old_one(tmp_path: Path) -> None:
    """Each command is a process of its own."""

    def run(*words: str) -> Any:
        done = tenantry(tmp_path, url, *words)
        assert done.returncode == 0, done.stderr
        return done

    with pair() as (old, new, url):
        run("migrate")
        old.stop()
        new.promote()
        run("tenants", "create", "acme", "--plan", "pro")
        note = tmp_path / "control" / NAME
        assert "/2 " in note.read_text() and note.stat().st_mode & 0o777 == 0o600
        old.start()
        told = run("tenants", "list")
        assert "acme" in told.stdout
        assert f"127.0.0.1:{old.port} is not used: its timeline is 1" in told.stderr
        new.stop()
        told = tenantry(tmp_path, url, "doctor")
        assert told.returncode == 1 and "its timeline is 1" in told.stderr
        told = tenantry(tmp_path, url, "tenants", "list")
        assert told.returncode == 1 and told.stderr.count("its timeline is 1") == 1
        note.unlink()  # the operator's word that it is to be the one again
        assert "acme" not in run("tenants", "list").stdout
