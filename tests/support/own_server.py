"""A PostgreSQL as an operator has it: bare, with a login that owns one database and makes roles."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from tenantry.adapters.postgres.embedded.account import database_account, run_as
from tenantry.adapters.postgres.embedded.binaries import find_binaries

LIMIT_S = 120


@contextlib.contextmanager
def running_own_server() -> Iterator[str]:
    """The URL of its owner, who is no superuser, over TCP with a password."""
    account = database_account()
    binaries = find_binaries(account)
    folder = Path(tempfile.mkdtemp(prefix="tenantry-own-"))  # short: its socket lies in it
    os.chown(folder, account.uid, account.gid)
    data = str(folder / "data")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def program(name: str, *arguments: str) -> None:
        done = run_as(account, [binaries.program(name), "-D", data, *arguments], LIMIT_S)
        assert done.returncode == 0, done.stderr

    password = folder / "password"
    password.write_text("secret")
    password.chmod(0o644)
    locale = ("--encoding=UTF8", "--locale=C")
    program(
        "initdb", "-A", "scram-sha-256", f"--pwfile={password}", "-U", "postgres", "-N", *locale
    )
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    program("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        url = f"postgresql://postgres:secret@127.0.0.1:{port}/postgres"
        execute(url, "CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
        execute(url, "CREATE DATABASE product OWNER master")
        yield f"postgresql://master:secret@127.0.0.1:{port}/product"
    finally:
        program("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


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
