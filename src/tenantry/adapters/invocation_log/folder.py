"""The invocation log in a folder: laid out as in S3, or as a person keeps it."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from math import inf
from pathlib import Path

from tenantry.adapters.invocation_log.lines import LineReader
from tenantry.adapters.invocation_log.names import FILES_MAX, LOGS, OF_BEDROCK, may_be_log
from tenantry.ports.invocation_log import LogFile

OF_EACH_ACCOUNT = "*/log/"
_log = logging.getLogger(__name__)
_PATTERN = f"{LOGS}/*/{OF_BEDROCK}/*/*/*/*/*/*.json.gz"


class FolderLog(LineReader):
    """The log under a folder; `each`: under each account's own folder `<accounts>/<account>/log`;
    `anywhere`: or many, however they lie in it.

    What has the name of a file of the log and is no regular file, as a pipe or a link that leads
    nowhere, is none: it is told once, and named among the unreadable."""

    def __init__(self, root: Path, *, each: str = "", anywhere: bool = False) -> None:
        super().__init__()
        self._root = root.absolute()
        self._prefix = len(str(self._root / "-")) - 1
        self._of_each_account = bool(each)
        self._pattern = None if anywhere else each + _PATTERN
        self.where = str(root)

    async def covers(self, account: str, region: str) -> bool:
        """A folder that is there is the log of its account, whatever the region."""
        folder = self._root / account / "log" if self._of_each_account else self._root
        return await asyncio.to_thread(folder.is_dir)

    async def files(self, since: datetime, done: Container[str]) -> Sequence[str]:
        return await asyncio.to_thread(self._list, since.timestamp(), done)

    async def has_files(self) -> bool:
        return await asyncio.to_thread(self._has_files)

    async def records(self, name: str) -> LogFile:
        return await asyncio.to_thread(self.read, self._root / name, name)

    def _has_files(self) -> bool:
        return any(self._delivered(path) is not None for path in self._paths())

    def _list(self, since_s: float, done: Container[str]) -> list[str]:
        found = []
        for path in self._paths():
            name = str(path)[self._prefix :]  # a tenth of `relative_to`, for each file at each scan
            if name in done or (delivered_s := self._delivered(path)) is None:
                continue
            if delivered_s >= since_s:
                found.append((delivered_s, name))
        return [name for _, name in sorted(found)[:FILES_MAX]]

    def _delivered(self, path: Path) -> float | None:
        """When, in seconds; infinity where nobody may know, as reading it will say. None: it is no
        file, or has gone meanwhile."""
        try:
            found = path.stat()
        except PermissionError:
            return inf
        except OSError:  # it has gone, or leads nowhere or round in a ring
            if path.is_symlink():
                self._tell_of_none(path)
            return None
        if stat.S_ISREG(found.st_mode):
            return found.st_mtime
        self._tell_of_none(path)
        return None

    def _tell_of_none(self, path: Path) -> None:
        name = str(path)[self._prefix :]
        if name not in self._unreadable:
            self._unreadable[name] = None
            _log.warning("%s is no regular file, and so none of the log: it is not read", path)

    def _paths(self) -> Iterator[Path]:
        if self._pattern is not None:
            return self._root.glob(self._pattern)
        files = (Path(folder, name) for folder, names in _walked(self._root) for name in names)
        return (path for path in files if may_be_log(path.as_posix()[self._prefix :]))


def _walked(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder below one with its files, also through links, and each once. Raises `OSError` for
    one that cannot be listed: what lies in it would be missing in silence."""
    seen = set[tuple[int, int]]()
    for folder, folders, names in os.walk(root, onerror=_raise, followlinks=True):
        at = Path(folder).stat()
        if (at.st_dev, at.st_ino) in seen:
            folders.clear()
            continue
        seen.add((at.st_dev, at.st_ino))
        yield folder, names


def _raise(problem: OSError) -> None:
    raise problem
