"""A PostgreSQL as an operator has it: bare, with a login that owns one database and makes roles."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.ports import free_port

from tenantry.adapters.postgres.embedded.account import database_account, run_as
from tenantry.adapters.postgres.embedded.binaries import find_binaries

LIMIT_S = 120
# Waits until its standard input ends, as it does with whoever holds the other end; then ends the
# server of the folder at once, and removes it.
_AFTERMATH = """
read -r _
pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid"
while test -n "$pid" && kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
rm -rf "$0"
"""


class OwnServer:
    """One that can be stopped, started again, and followed by a standby."""

    def __init__(self, folder: Path) -> None:
        self._account = database_account()
        self._binaries = find_binaries(self._account)
        self.folder = folder  # short: its socket lies in it
        os.chown(folder, self._account.uid, self._account.gid)
        self.port = free_port()
        self.url = f"postgresql://master:secret@127.0.0.1:{self.port}/product"

    def make(self) -> None:
        password = self.folder / "password"
        password.write_text("secret")
        password.chmod(0o644)
        login = ("-A", "scram-sha-256", f"--pwfile={password}", "-U", "postgres")
        self._program("initdb", *login, "-N", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self._program("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._program("pg_ctl", "-w", "-m", "immediate", "stop")

    def promote(self) -> None:
        """What was a standby takes writes, on a timeline of its own."""
        self._program("pg_ctl", "-w", "promote")

    def follow(self, primary: str) -> None:
        """As a standby of who has this URL."""
        self._program("pg_basebackup", "-R", "-c", "fast", "-d", as_superuser(primary))

    def _program(self, name: str, *arguments: str) -> None:
        data = str(self.folder / "data")
        command = [self._binaries.program(name), "-D", data, *arguments]
        done = run_as(self._account, command, LIMIT_S)
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def own_server() -> Iterator[OwnServer]:
    """Not made yet; ended and removed afterwards, in whatever state it is, also where we are
    killed."""
    folder = Path(tempfile.mkdtemp(prefix="tenantry-own-"))
    aftermath = subprocess.Popen(
        ["/bin/sh", "-c", _AFTERMATH, str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        server = OwnServer(folder)
        yield server
        with contextlib.suppress(AssertionError):  # it was stopped, or never started
            server.stop()
    finally:
        aftermath.communicate()


@contextlib.contextmanager
def started_own_server() -> Iterator[OwnServer]:
    """With the login `master`, who is no superuser, as the owner of the database `product`."""
    with own_server() as server:
        server.make()
        server.start()
        url = f"postgresql://postgres:secret@127.0.0.1:{server.port}/postgres"
        execute(url, "CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
        execute(url, "CREATE DATABASE product OWNER master")
        yield server


@contextlib.contextmanager
def running_own_server() -> Iterator[str]:
    """The URL of its owner, who is no superuser, over TCP with a password."""
    with started_own_server() as server:
        yield server.url


def as_superuser(url: str) -> str:
    return url.replace("master:", "postgres:")


def let_in(url: str, *lines: str) -> None:
    """Puts lines before all others of the server's `pg_hba.conf`."""
    superuser = as_superuser(url)
    hba = Path(execute(superuser, "SHOW hba_file"))
    hba.write_text("\n".join([*lines, hba.read_text()]))
    execute(superuser, "SELECT pg_reload_conf()")


def execute(url: str, statement: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def tenantry(home: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TENANTRY_HOME": str(home), "TENANTRY_DATABASE_URL": url}
    return subprocess.run(
        [sys.executable, "-m", "tenantry.entrypoints.cli.main", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
