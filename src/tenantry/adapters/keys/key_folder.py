"""Wrapped tenant keys of one machine: `<accounts>/<account>/keys/<tenant>/<version>.json`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tenantry.domain.document import Home
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.ports.objects import Files

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
BARRED = ".destroyed"  # no tenant's id has a dot
FILE_NAME = re.compile(r"([1-9][0-9]{0,8})\.json", re.ASCII)


class KeyFolder:
    """`ports.key_files.KeyFiles`."""

    def __init__(self, accounts: Path, files: Files) -> None:
        self._accounts = accounts
        self._files = files

    async def versions(self, home: Home) -> Sequence[int]:
        folder = self._folder(home)
        return await asyncio.to_thread(lambda: _versions(folder))

    async def read(self, home: Home, version: int) -> bytes:
        path = self._path(home, version)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise NotFound(NO_KEY) from None
        except OSError as error:
            raise Unavailable("The key store cannot be read.") from error

    async def create(self, home: Home, version: int, data: bytes) -> bool:
        return await asyncio.to_thread(self._files.create, self._path(home, version), data)

    async def replace(self, home: Home, version: int, old: bytes, new: bytes) -> bool:
        return await asyncio.to_thread(self._replace, self._path(home, version), old, new)

    async def remove(self, home: Home) -> None:
        await asyncio.to_thread(self._remove, self._folder(home))

    async def bar(self, home: Home) -> None:
        await asyncio.to_thread(self._files.create, self._mark(home), b"")

    async def barred(self, home: Home) -> bool:
        return await asyncio.to_thread(self._mark(home).exists)

    async def check(self) -> None:
        if self._accounts.exists() and not os.access(self._accounts, os.W_OK | os.X_OK):
            raise Unavailable("The key store's folder cannot be written.")

    def _replace(self, path: Path, old: bytes, new: bytes) -> bool:
        with _locked(path.parent) as there:
            try:
                same = there and path.read_bytes() == old
            except FileNotFoundError:
                same = False
            if same:
                self._files.replace(path, new)
            return same

    def _remove(self, folder: Path) -> None:
        with _locked(folder) as there:
            for path in sorted(folder.iterdir()) if there else ():
                self._files.remove(path)

    def _path(self, home: Home, version: int) -> Path:
        return self._folder(home) / f"{version}.json"

    def _mark(self, home: Home) -> Path:
        """Beside the folder of a tenant, which is empty then."""
        folder = self._folder(home)
        return folder.with_name(f"{folder.name}{BARRED}")

    def _folder(self, home: Home) -> Path:
        check_names(home)
        return self._accounts / home.account / "keys" / home.tenant_id


NO_KEY = "The tenant has no key: it was never made, or it was shredded."


def check_names(home: Home) -> None:
    """NotFound for names that could lead elsewhere."""
    if not SAFE_NAME.fullmatch(home.account) or not SAFE_NAME.fullmatch(home.tenant_id):
        raise NotFound("There is no such tenant.")


def destroyed_in(accounts: Path) -> set[str]:
    """Ids of the tenants that get no key any more, in any account."""
    return {path.name.removesuffix(BARRED) for path in accounts.glob(f"*/keys/*{BARRED}")}


def _versions(folder: Path) -> list[int]:
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unavailable("The key store cannot be read.") from error
    return sorted(int(found[1]) for name in names if (found := FILE_NAME.fullmatch(name)))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Alone among all processes of this machine; False where there is no such folder.

    What compares before it replaces must not meet what removes. The kernel lets go of the lock of
    a process that dies.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    except OSError as error:
        raise Unavailable("The key store cannot be read.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield True
    finally:
        os.close(descriptor)
