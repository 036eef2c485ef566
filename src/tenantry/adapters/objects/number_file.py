"""`ports.invoice_numbers.NumberFile`: series → last number, in `<control>/invoice-numbers.json`.

Beside them, in the member `sha256`, are the digests of those documents, where they are known.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenantry.adapters.objects.durable_file import FOLDER_MODE
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.domain.invoice_numbers import Given, parts_of, raised
from tenantry.ports.objects import Files

NAME = "invoice-numbers.json"
_DIGESTS = "sha256"  # no series has such a name
_SHA256 = re.compile(r"[0-9a-f]{64}")


class DiskNumbers:
    def __init__(self, control: Path, files: Files) -> None:
        self._path = control / NAME
        self._files = files

    async def read(self) -> Mapping[str, Given]:
        return await asyncio.to_thread(self._read)

    async def keep(self, given: Mapping[str, Given]) -> None:
        await asyncio.to_thread(self._keep, given)

    def _read(self) -> dict[str, Given]:
        try:
            return _from(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Unavailable(
                f"{self._path}, which says what numbers were given, cannot be read."
            ) from error
        except ValueError:
            raise Corrupt(
                f"{self._path}, which says what numbers were given, is damaged: put back a copy of"
                " it, or delete it where the database was never restored."
            ) from None

    def _keep(self, given: Mapping[str, Given]) -> None:
        with self._alone():
            told = self._read()
            now = raised(told, given)
            if now != told:
                self._files.replace(self._path, f"{json.dumps(_told(now))}\n".encode())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Among all processes of this machine: of two that write at once no number is lost."""
        folder = self._path.parent
        try:
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Unavailable(f"{folder} cannot be opened; no number can be kept.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _from(told: Any) -> dict[str, Given]:
    """Raises `ValueError`."""
    if not isinstance(told, dict):
        raise ValueError
    digests = told.pop(_DIGESTS, {})
    if not isinstance(digests, dict) or not digests.keys() <= told.keys():
        raise ValueError
    for name, last in told.items():
        if type(last) is not int or (last and parts_of(f"{name}-{last:06}")[0] != name):
            raise ValueError
    for sha256 in digests.values():
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ValueError
    return {name: Given(last, digests.get(name)) for name, last in told.items()}


def _told(given: Mapping[str, Given]) -> dict[str, Any]:
    digests = {name: each.sha256 for name, each in given.items() if each.sha256 is not None}
    lasts: dict[str, Any] = {name: each.last for name, each in given.items()}
    return {**lasts, _DIGESTS: digests} if digests else lasts
