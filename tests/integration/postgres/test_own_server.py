"""A PostgreSQL of the operator's own: a login with CREATEROLE and an empty database suffice."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from tenantry.adapters.postgres.embedded.account import database_account, run_as
from tenantry.adapters.postgres.embedded.binaries import find_binaries

LIMIT_S = 120


@pytest.fixture
def own_server():
    """A bare server with one database, and the URL of its owner, who is no superuser."""
    account = database_account()
    binaries = find_binaries(account)
    folder = Path(tempfile.mkdtemp(prefix="tenantry-own-"))  # short: its socket lies in it
    os.chown(folder, account.uid, account.gid)
    data = str(folder / "data")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def program(name, *arguments):
        done = run_as(account, [binaries.program(name), "-D", data, *arguments], LIMIT_S)
        assert done.returncode == 0, done.stderr

    password = folder / "password"
    password.write_text("secret")
    password.chmod(0o644)
    program("initdb", "-A", "scram-sha-256", f"--pwfile={password}", "-U", "postgres", "-N")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    program("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        asyncio.run(_make_owner(port))
        yield f"postgresql://master:secret@127.0.0.1:{port}/product"
    finally:
        program("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


async def _make_owner(port):
    connection = await asyncpg.connect(f"postgresql://postgres:secret@127.0.0.1:{port}/postgres")
    await connection.execute("CREATE ROLE master LOGIN CREATEROLE PASSWORD 'secret'")
    await connection.execute("CREATE DATABASE product OWNER master")
    await connection.close()


def tenantry(home, url, *words):
    environment = {**os.environ, "TENANTRY_HOME": str(home), "TENANTRY_DATABASE_URL": url}
    return subprocess.run(
        [sys.executable, "-m", "tenantry.entrypoints.cli.main", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_migrate_makes_roles_and_schema_and_can_be_repeated(own_server, tmp_path):
    for _ in range(2):
        done = tenantry(tmp_path, own_server, "migrate")
        assert (done.returncode, done.stderr) == (0, "")
    for name in ("acme", "globex"):
        assert (
            tenantry(tmp_path, own_server, "tenants", "create", name, "--plan", "pro").returncode
            == 0
        )
    listed = tenantry(tmp_path, own_server, "tenants", "list", "--json").stdout
    assert '"acme"' in listed
    assert '"globex"' in listed


def test_another_deployments_secret_opens_nothing(own_server, tmp_path):
    assert tenantry(tmp_path / "one", own_server, "migrate").returncode == 0
    assert tenantry(tmp_path / "one", own_server, "tenants", "list").returncode == 0
    assert tenantry(tmp_path / "two", own_server, "tenants", "list").returncode != 0
