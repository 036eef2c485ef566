"""A PostgreSQL of the operator's own: a login with CREATEROLE and an empty database suffice."""

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.support.own_server import as_superuser, execute, let_in, tenantry

from tenantry.adapters.keys import control_plane
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.errors import RolesTaken
from tenantry.adapters.postgres.migrate import load_migrations
from tenantry.adapters.postgres.roles import (
    LOGIN_ROLES,
    bootstrap_roles,
    derive_password,
    secret_mark,
)


def test_doctor_names_the_pool_of_a_fresh_deployment_that_nobody_answers(own_server, tmp_path):
    assert tenantry(tmp_path, own_server, "migrate").returncode == 0
    told = tenantry(tmp_path, own_server, "doctor")
    assert told.returncode == 1
    assert "placement pool has no account yet" in told.stderr
    assert "nothing is wrong" not in told.stdout


def test_migrate_makes_roles_and_schema_and_can_be_repeated(own_server, tmp_path):
    last = len(load_migrations())
    for told in (f"applied 0001 … {last:04d} ({last})\n", f"nothing to apply after {last:04d}\n"):
        done = tenantry(tmp_path, own_server, "migrate")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"the schema is up to date: {told}"
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
    shutil.copy(one / "control" / "key", two / "control" / "key")
    assert tenantry(two, own_server, "migrate", "--new-passwords").returncode == 0
    assert tenantry(two, own_server, "tenants", "list").returncode == 0
    assert tenantry(one, own_server, "tenants", "list").returncode != 0


NEWER = "9999, 'of_later', repeat('0', 64)"
MEMBERS = "SELECT string_agg(m::text, ' ' ORDER BY m.oid) FROM pg_auth_members m"
STORED = "SELECT string_agg(rolpassword, ' ' ORDER BY rolname) FROM pg_authid"


@pytest.mark.parametrize("who", ["master", "superuser"])
def test_new_passwords_are_given_by_no_home_that_is_refused_afterwards(
    own_server: str, tmp_path: Path, who: str
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    superuser = as_superuser(own_server)
    url = own_server if who == "master" else superuser
    assert tenantry(one, url, "migrate").returncode == 0
    for name in ("acme", "globex"):
        assert tenantry(one, url, "tenants", "create", name, "--plan", "pro").returncode == 0
    assert tenantry(one, url, "keys", "create", "acme", "--name", "a").returncode == 0
    before = [execute(superuser, statement) for statement in (STORED, MEMBERS)]

    def refused(why: str) -> None:
        told = tenantry(two, url, "migrate", "--new-passwords")
        assert told.returncode == 1 and why in told.stderr, told
        assert [execute(superuser, statement) for statement in (STORED, MEMBERS)] == before
        assert tenantry(one, url, "tenants", "list").returncode == 0

    key = two / "control" / "key"
    refused(f"{key} is not there")
    control_plane.make(two / "control", DurableFiles())
    refused(f"{key} is another one")
    execute(superuser, "DELETE FROM tenantry.control_key")  # as of before there were fingerprints
    refused(f"{key} is another one")
    shutil.copy(one / "control" / "key", key)
    execute(superuser, f"INSERT INTO tenantry.schema_migrations VALUES ({NEWER})")
    told = tenantry(two, url, "migrate", "--new-passwords")
    assert told.returncode == 1 and "a newer one wrote it" in told.stderr, told
    assert execute(superuser, STORED) == before[0]
    execute(superuser, "DELETE FROM tenantry.schema_migrations WHERE number = 9999")
    assert tenantry(two, url, "migrate", "--new-passwords").returncode == 0
    assert tenantry(two, url, "keys", "create", "globex", "--name", "b").returncode == 0


def test_where_both_files_are_lost_both_options_go_on_with_new_ones(
    own_server: str, tmp_path: Path
) -> None:
    lost, found = tmp_path / "lost", tmp_path / "found"
    assert tenantry(lost, own_server, "migrate").returncode == 0
    for words in (("--new-passwords",), ("--new-control-key",)):
        assert tenantry(found, own_server, "migrate", *words).returncode == 1
        assert tenantry(lost, own_server, "tenants", "list").returncode == 0
    both = ("--new-passwords", "--new-control-key")
    assert tenantry(found, own_server, "migrate", *both).returncode == 0
    assert tenantry(found, own_server, "tenants", "list").returncode == 0


TRUSTED = (
    "local all all trust",
    "host product all 127.0.0.1/32 trust",
    # where the running deployment comes from
    "host staging all 127.0.0.1/32 scram-sha-256",
)
MARK = (
    "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'tenantry_migrator'"
)


@pytest.mark.parametrize("who", ["master", "superuser"])
@pytest.mark.parametrize("marked", [True, False])
def test_where_no_password_is_asked_for_another_secret_is_still_refused(
    own_server: str, tmp_path: Path, who: str, marked: bool
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    superuser = as_superuser(own_server)
    url = own_server if who == "master" else superuser
    assert tenantry(one, own_server, "migrate").returncode == 0
    assert execute(superuser, MARK).startswith("Tenantry: ")
    assert (one / "control" / "database-secret").read_text() not in execute(superuser, MARK)
    if not marked:
        execute(superuser, "COMMENT ON ROLE tenantry_migrator IS 'of the gateway'")
    let_in(own_server, *TRUSTED)
    (two / "control").mkdir(parents=True)
    shutil.copy(one / "control" / "key", two / "control")
    before = execute(superuser, STORED)
    refused = tenantry(two, url, "migrate")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert "control/database-secret" in line
    assert execute(superuser, STORED) == before
    # The secret that they are of is let in, where that can be told.
    again = tenantry(one, url, "migrate")
    told = marked or who == "superuser"
    assert (again.returncode == 0) is told, again.stderr
    assert ("any password" in again.stderr) is not told
    assert tenantry(one, url, "migrate", "--new-passwords").returncode == 0
    mark = execute(superuser, MARK)
    assert mark.startswith("Tenantry: ")
    assert tenantry(one, url, "migrate").returncode == 0
    assert tenantry(two, url, "migrate", "--new-passwords").returncode == 0
    assert execute(superuser, MARK) != mark
    assert tenantry(one, url, "migrate").returncode == 1


def test_a_role_that_is_refused_before_its_password_keeps_it(
    own_server: str, tmp_path: Path
) -> None:
    superuser = as_superuser(own_server)
    assert tenantry(tmp_path / "one", own_server, "migrate").returncode == 0
    let_in(own_server, "host all tenantry_migrator 127.0.0.1/32 reject")
    before = execute(superuser, STORED)
    refused = tenantry(tmp_path / "two", own_server, "migrate")
    assert refused.returncode == 1
    assert "pg_hba.conf rejects" in refused.stderr
    assert execute(superuser, STORED) == before


def test_roles_that_may_not_log_in_or_connect_are_set_right_by_their_own_secret(
    own_server: str, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert tenantry(one, own_server, "migrate").returncode == 0
    for harm in (
        "ALTER ROLE tenantry_migrator NOLOGIN",
        "REVOKE CONNECT ON DATABASE product FROM tenantry_migrator",
        "COMMENT ON ROLE tenantry_migrator IS NULL",
    ):
        execute(own_server, harm)
        assert tenantry(two, own_server, "migrate").returncode == 1
        done = tenantry(one, own_server, "migrate")
        assert (done.returncode, done.stderr) == (0, "")


def test_of_two_new_deployments_at_once_one_gets_the_roles(own_server: str) -> None:
    secrets = [bytes([number]) * 32 for number in range(4)]

    async def one(secret: bytes) -> bool:
        passwords = {role: derive_password(secret, role) for role in LOGIN_ROLES}
        try:
            await bootstrap_roles(own_server, passwords, mark=secret_mark(secret))
        except RolesTaken:
            return False
        return True

    async def race() -> list[bool]:
        return await asyncio.gather(*(one(secret) for secret in secrets))

    assert sorted(asyncio.run(race())) == [False, False, False, True]


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
