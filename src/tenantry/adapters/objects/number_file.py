"""`ports.invoice_numbers.NumberFile`: series → last number, in `<control>/invoice-numbers.json`.

Beside it, in `invoice-digests.json`, number → digest of those documents, where they are known. An
older version knows the first file alone; of numbers that it does not have a digest says nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tenantry.adapters.objects.durable_file import FOLDER_MODE
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.domain.invoice import number_of
from tenantry.domain.invoice_numbers import Given, parts_of, raised
from tenantry.ports.objects import Files

NAME, DIGESTS = "invoice-numbers.json", "invoice-digests.json"
T = TypeVar("T")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class DiskNumbers:
    def __init__(self, control: Path, files: Files) -> None:
        self._path = control / NAME
        self._digests = control / DIGESTS
        self._files = files

    async def read(self) -> Mapping[str, Given]:
        return await asyncio.to_thread(self._read)

    async def keep(self, given: Mapping[str, Given]) -> None:
        await asyncio.to_thread(self._keep, given)

    def _read(self) -> dict[str, Given]:
        lasts = _parsed(self._path, _lasts, "put back a copy of it, or delete it where the database"
                        " was never restored")  # fmt: skip
        digests = _parsed(self._digests, _digests, "put back a copy of it, or delete it: it is"
                          " written anew from this database")  # fmt: skip
        return {
            name: Given(last, digests.get(number_of(name, last))) for name, last in lasts.items()
        }

    def _keep(self, given: Mapping[str, Given]) -> None:
        """The digests first, so that none of before is taken for one of a number that is new."""
        with self._alone():
            told = self._read()
            now = raised(told, given)
            if now == told:
                return
            digests = {
                number_of(name, each.last): each.sha256
                for name, each in now.items()
                if each.sha256 is not None
            }
            self._replace(self._digests, digests)
            self._replace(self._path, {name: each.last for name, each in now.items()})

    def _replace(self, path: Path, told: Mapping[str, object]) -> None:
        self._files.replace(path, f"{json.dumps(told)}\n".encode())

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


def _parsed(path: Path, parse: Callable[[object], dict[str, T]], mend: str) -> dict[str, T]:
    """What a file tells; nothing where there is none. Raises `Unavailable`, `Corrupt`."""
    try:
        return parse(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unavailable(f"{path}, which says what numbers were given, cannot be read.") from error
    except ValueError:
        raise Corrupt(f"{path}, which says what numbers were given, is damaged: {mend}.") from None


def _lasts(told: object) -> dict[str, int]:
    """Raises `ValueError`."""
    if not isinstance(told, dict):
        raise ValueError
    for name, last in told.items():
        if type(last) is not int or (last and parts_of(f"{name}-{last:06}")[0] != name):
            raise ValueError
    return told


def _digests(told: object) -> dict[str, str]:
    """Raises `ValueError`."""
    if not isinstance(told, dict):
        raise ValueError
    for number, sha256 in told.items():
        parts_of(number)
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ValueError
    return told
