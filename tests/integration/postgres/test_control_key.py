"""The control plane's key: lost, unshared or another one, it is refused before anybody's key is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.support.own_server import as_superuser, execute, tenantry
from tests.support.postgres import Database

from tenantry.adapters import shipped
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys import control_plane
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.control import PostgresControl
from tenantry.bootstrap.control_key import control_key_of, settle_control_key
from tenantry.bootstrap.database import FRESH_POOL
from tenantry.config import Settings, SettingsError

NOTED = "SELECT encode(fingerprint, 'hex') FROM tenantry.control_key"


def key_of(home: Path) -> control_plane.ControlPlaneKey:
    control_plane.make(home / "control", DurableFiles())
    return control_plane.load(home / "control")


def with_databases(database: Database, work: Callable[[Databases], Awaitable[None]]) -> None:
    async def run() -> None:
        databases = await Databases.open(database.dsn)
        try:
            await work(databases)
        finally:
            await databases.close()

    asyncio.run(run())


async def settle(home: Path, databases: Databases, *, anew: bool = False) -> None:
    await settle_control_key(Settings(home=home), databases, anew=anew)


async def used(databases: Databases, home: Path, *names: str) -> None:
    """A tenant of each name with an API key, made with this home's key."""
    key = key_of(home)
    control = PostgresControl(
        databases.control, pepper=key.pepper, seal=key.seal, clock=SystemClock()
    )
    await control.apply_plans(shipped.plan_tables())
    await control.apply_placement(FRESH_POOL)
    for name in names:
        tenant = await control.create_tenant(name, plan="free")
        await control.create_key(tenant.id, name="one")


async def noted(databases: Databases) -> str | None:
    async with databases.control.acquire() as connection:
        found: str | None = await connection.fetchval(NOTED)
        return found


def test_a_new_deployment_gets_a_key_that_its_database_knows(
    database: Database, tmp_path: Path
) -> None:
    async def work(databases: Databases) -> None:
        await settle(tmp_path, databases)
        key = control_plane.load(tmp_path / "control")
        assert await noted(databases) == key.fingerprint.hex()
        await settle(tmp_path, databases)
        assert (await control_key_of(Settings(home=tmp_path), databases)).pepper == key.pepper
        secret = (tmp_path / "control" / "key").read_bytes()
        assert key.fingerprint not in (secret, key.pepper, key.archive_signer.public_key)

    with_databases(database, work)


def test_a_lost_key_is_not_replaced(database: Database, tmp_path: Path) -> None:
    async def work(databases: Databases) -> None:
        await settle(tmp_path, databases)
        path, kept = tmp_path / "control" / "key", tmp_path / "kept"
        path.rename(kept)
        for refused in (
            settle(tmp_path, databases),
            control_key_of(Settings(home=tmp_path), databases),
        ):
            with pytest.raises(SettingsError, match=f"{path} is not there") as told:
                await refused
            assert "backup" in str(told.value)
            assert not path.exists()
        kept.rename(path)
        await settle(tmp_path, databases)

    with_databases(database, work)


def test_another_homes_key_is_refused_until_somebody_gives_the_word(
    database: Database, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"

    async def work(databases: Databases) -> None:
        await settle(one, databases)
        before = await noted(databases)
        key_of(two)
        for refused in (settle(two, databases), control_key_of(Settings(home=two), databases)):
            with pytest.raises(SettingsError, match="is another one") as told:
                await refused
            assert str(two / "control" / "key") in str(told.value)
        assert await noted(databases) == before
        await settle(two, databases, anew=True)
        assert await noted(databases) == key_of(two).fingerprint.hex() != before
        with pytest.raises(SettingsError):
            await settle(one, databases)

    with_databases(database, work)


def test_of_two_new_machines_at_once_one_makes_the_key(database: Database, tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(4)]

    async def one(home: Path) -> bool:
        databases = await Databases.open(database.dsn)
        try:
            await settle(home, databases)
        except SettingsError as refused:
            assert f"{home / 'control' / 'key'} is not there" in str(refused)
            return False
        finally:
            await databases.close()
        return True

    async def race() -> list[bool]:
        return await asyncio.gather(*(one(home) for home in homes))

    assert sorted(asyncio.run(race())) == [False, False, False, True]
    assert sum((home / "control" / "key").exists() for home in homes) == 1


def test_a_database_of_before_learns_the_key_that_opens_its_secrets(
    database: Database, tmp_path: Path
) -> None:
    right, wrong, lost = (tmp_path / name for name in ("right", "wrong", "lost"))

    async def work(databases: Databases) -> None:
        await used(databases, right, "acme", "globex")
        key_of(wrong)
        for home, said in ((wrong, "another one"), (lost, "not there")):
            with pytest.raises(SettingsError, match=said):
                await settle(home, databases)
            with pytest.raises(SettingsError, match=said):
                await control_key_of(Settings(home=home), databases)
        assert await noted(databases) is None
        assert not (lost / "control").exists()
        await control_key_of(Settings(home=right), databases)
        assert await noted(databases) is None  # who only looks notes nothing
        await settle(right, databases)
        assert await noted(databases) == key_of(right).fingerprint.hex()

    with_databases(database, work)


def test_where_the_key_was_replaced_before_the_later_one_goes_on(
    database: Database, tmp_path: Path
) -> None:
    lost, replaced = tmp_path / "lost", tmp_path / "replaced"

    async def work(databases: Databases) -> None:
        await used(databases, lost, "acme")
        await used(databases, replaced, "globex")
        await settle(replaced, databases)
        with pytest.raises(SettingsError):
            await settle(lost, databases)

    with_databases(database, work)


def spoil(path: Path, how: str) -> None:
    if how == "open to others":
        path.chmod(0o644)
    elif how == "damaged":
        path.write_bytes(path.read_bytes()[:-1])
    else:  # as where a file that is not there is mounted into a container
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("how", ["damaged", "open to others", "Is a directory"])
def test_a_key_that_cannot_be_read_is_told_with_its_path_and_is_no_outage(
    database: Database, tmp_path: Path, how: str
) -> None:
    async def work(databases: Databases) -> None:
        await settle(tmp_path, databases)
        before = await noted(databases)
        path = tmp_path / "control" / "key"
        spoil(path, how)
        for refused in (
            settle(tmp_path, databases),
            settle(tmp_path, databases, anew=True),
            control_key_of(Settings(home=tmp_path), databases),
        ):
            with pytest.raises(SettingsError) as told:
                await refused
            assert str(path) in str(told.value) and how in str(told.value)
            assert ("remove it" in str(told.value)) is (how == "damaged")
        assert await noted(databases) == before

    with_databases(database, work)


def test_no_command_goes_on_with_a_lost_or_another_key(own_server: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert tenantry(one, own_server, "migrate").returncode == 0
    for name in ("acme", "globex"):
        made = tenantry(one, own_server, "tenants", "create", name, "--plan", "pro")
        assert made.returncode == 0
    assert tenantry(one, own_server, "keys", "create", "acme", "--name", "a").returncode == 0

    key = one / "control" / "key"
    (two / "control").mkdir(parents=True)
    shutil.copy(one / "control" / "database-secret", two / "control")
    key.rename(tmp_path / "kept")
    commands = (
        ("migrate",),
        ("doctor",),
        ("keys", "create", "globex", "--name", "b"),
        ("serve", "--http-port", "0", "--https-port", "0", "--admin-port", "0"),
        ("worker",),
    )
    for said, others_key in (("is not there", False), ("is another one", True)):
        for home in (one, two):
            if others_key:
                control_plane.make(home / "control", DurableFiles())
            for words in commands:
                refused = tenantry(home, own_server, *words)
                assert refused.returncode == 1, (words, refused)
                assert f"{home / 'control' / 'key'} {said}" in refused.stderr, (words, refused)
                assert "nothing is wrong" not in refused.stdout
                assert (home / "control" / "key").exists() is others_key
    count = "SELECT count(*) FROM tenantry.api_key"
    superuser = as_superuser(own_server)
    assert execute(superuser, count) == 1

    (tmp_path / "kept").replace(key)
    assert tenantry(one, own_server, "migrate").returncode == 0
    shutil.copy(key, two / "control" / "key")
    assert tenantry(two, own_server, "keys", "create", "globex", "--name", "b").returncode == 0
    key.unlink()
    assert tenantry(one, own_server, "migrate", "--new-control-key").returncode == 0
    assert tenantry(one, own_server, "keys", "create", "acme", "--name", "c").returncode == 0
    assert tenantry(two, own_server, "keys", "list", "acme").returncode == 1
