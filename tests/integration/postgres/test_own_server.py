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
from tenantry.adapters.postgres.roles import LOGIN_ROLES, bootstrap_roles

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


def execute(url, statement):
    async def run():
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


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


def test_doctor_names_the_pool_of_a_fresh_deployment_that_nobody_answers(own_server, tmp_path):
    assert tenantry(tmp_path, own_server, "migrate").returncode == 0
    told = tenantry(tmp_path, own_server, "doctor")
    assert told.returncode == 1
    assert "placement pool has no account yet" in told.stderr
    assert "nothing is wrong" not in told.stdout


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
    told = tenantry(tmp_path, own_server, "doctor")
    assert told.returncode == 1
    assert "placement pool has no account yet" in told.stderr


def test_another_deployments_secret_opens_nothing_and_takes_no_roles_away(own_server, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert tenantry(one, own_server, "migrate").returncode == 0
    execute(own_server, "CREATE DATABASE staging")
    assert tenantry(two, own_server, "tenants", "list").returncode != 0
    for url in (own_server, own_server.replace("/product", "/staging")):
        refused = tenantry(two, url, "migrate")
        assert refused.returncode == 1
        (line,) = refused.stderr.splitlines()
        assert "control/database-secret" in line
    assert tenantry(one, own_server, "tenants", "list").returncode == 0
    assert tenantry(two, own_server, "migrate", "--new-passwords").returncode == 0
    assert tenantry(two, own_server, "tenants", "list").returncode == 0
    assert tenantry(one, own_server, "tenants", "list").returncode != 0


def test_a_database_of_another_history_is_refused_before_its_roles_are_changed(
    own_server, tmp_path
):
    assert tenantry(tmp_path, own_server, "migrate").returncode == 0
    superuser = own_server.replace("master:", "postgres:")
    edited = "UPDATE tenantry.schema_migrations SET sha256 = repeat('0', 64) WHERE number = 4"
    execute(superuser, edited)
    execute(superuser, "ALTER ROLE tenantry_app RESET search_path")
    refused = tenantry(tmp_path, own_server, "migrate")
    assert refused.returncode == 1
    assert "cannot be upgraded" in refused.stderr
    role = "SELECT rolconfig IS NULL FROM pg_roles WHERE rolname = 'tenantry_app'"
    assert execute(superuser, role) is True


def test_a_database_that_cannot_hold_every_text_is_refused(own_server, tmp_path):
    template = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    execute(own_server, f"CREATE DATABASE latin ENCODING 'LATIN1' {template}")
    refused = tenantry(tmp_path, own_server.replace("/product", "/latin"), "migrate")
    assert refused.returncode == 1
    assert "LATIN1" in refused.stderr


def test_of_several_hosts_the_one_that_writes_is_taken(own_server, tmp_path):
    address = own_server.rpartition("@")[2].partition("/")[0]
    url = own_server.replace(address, f"127.0.0.1:1,{address}")
    for wanted in ("", "?target_session_attrs=read-write"):
        done = tenantry(tmp_path, f"{url}{wanted}", "migrate")
        assert (done.returncode, done.stderr) == (0, "")


def test_databases_of_one_server_may_make_the_roles_at_once(own_server):
    names = [f"product_{number}" for number in range(4)]
    for name in names:
        execute(own_server, f"CREATE DATABASE {name}")
    passwords = {role: f"of {role}" for role in LOGIN_ROLES}

    async def race():
        urls = [own_server.replace("/product", f"/{name}") for name in names]
        await asyncio.gather(*(bootstrap_roles(url, passwords) for url in urls))

    asyncio.run(race())
