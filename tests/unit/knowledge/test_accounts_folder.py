"""The accounts' folder on a disk that goes away: nothing is put there, nothing counts as gone.

Two tenants of one account; the folder that the disk leaves behind is there, and empty.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import ROOT_MARK, DurableFiles
from tenantry.domain.document import Home
from tenantry.domain.errors import Unavailable
from tenantry.domain.ids import TenantId
from tenantry.ports.objects import ObjectKind

ACME = Home(TenantId("tnt_acme"), "111111111111")
GLOBEX = Home(TenantId("tnt_globex"), "111111111111")
AWAY = "disk of the documents is not there"
KIND = next(iter(ObjectKind))


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    folder = tmp_path / "accounts"
    DurableFiles().create(folder / ROOT_MARK, b"")
    return folder


@contextlib.contextmanager
def unmounted(folder: Path) -> Iterator[None]:
    disk = folder.with_name("disk")
    folder.rename(disk)
    folder.mkdir()
    yield
    folder.rmdir()  # which holds that nothing was put there
    disk.rename(folder)


def test_objects_wait_for_their_disk(accounts: Path) -> None:
    async def run() -> None:
        objects = DiskObjects(accounts, DurableFiles(accounts))
        await objects.put(ACME, KIND, "one", b"sealed")
        with unmounted(accounts):
            for home in (ACME, GLOBEX):
                with pytest.raises(Unavailable, match=AWAY):
                    await objects.put(home, KIND, "two", b"sealed")
            with pytest.raises(Unavailable, match=AWAY):
                await objects.delete(ACME, KIND, "one")
        assert await objects.get(ACME, KIND, "one") == b"sealed"
        await objects.put(GLOBEX, KIND, "two", b"sealed")
        await objects.delete(ACME, KIND, "one")
        await objects.delete(ACME, KIND, "one")  # an absent one is no error

    asyncio.run(run())


def test_no_key_is_made_or_barred_without_its_disk(accounts: Path) -> None:
    async def run() -> None:
        files = DurableFiles(accounts)
        keys, kms = KeyFolder(accounts, files), LocalKms(accounts, files)
        await kms.create(ACME.account, "shared")
        await keys.create(ACME, 1, b"wrapped")
        with unmounted(accounts):
            for refused in (
                kms.create(ACME.account, "shared"),
                keys.create(GLOBEX, 1, b"wrapped"),
                keys.bar(ACME),
            ):
                with pytest.raises(Unavailable, match=AWAY):
                    await refused
        assert await keys.read(ACME, 1) == b"wrapped"
        assert not await keys.barred(ACME)
        assert await keys.create(GLOBEX, 1, b"wrapped")

    asyncio.run(run())
