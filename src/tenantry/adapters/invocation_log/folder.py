"""The invocation log in a folder: laid out as in S3, or as a person keeps it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from tenantry.adapters.invocation_log.lines import LineReader
from tenantry.adapters.invocation_log.names import LOGS, OF_BEDROCK, may_be_log
from tenantry.ports.invocation_log import LogFile

FILES_MAX = 10_000  # a scan; what is left is found by the next one
OF_EACH_ACCOUNT = "*/log/"
_PATTERN = f"{LOGS}/*/{OF_BEDROCK}/*/*/*/*/*/*.json.gz"


class FolderLog(LineReader):
    """The log under a folder; `each`: under each account's own folder `<accounts>/<account>/log`;
    `anywhere`: or many, however they lie in it."""

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
        return await asyncio.to_thread(lambda: next(self._paths(), None) is not None)

    async def records(self, name: str) -> LogFile:
        return await asyncio.to_thread(self.read, self._root / name, name)

    def _list(self, since_s: float, done: Container[str]) -> list[str]:
        found = []
        for path in self._paths():
            name = str(path)[self._prefix :]  # a tenth of `relative_to`, for each file at each scan
            if name not in done and (delivered_s := path.stat().st_mtime) >= since_s:
                found.append((delivered_s, name))
        return [name for _, name in sorted(found)[:FILES_MAX]]

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
