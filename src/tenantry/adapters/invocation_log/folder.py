"""The invocation log in a folder laid out as in S3:
`AWSLogs/<account>/BedrockModelInvocationLogs/…`."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tenantry.adapters.invocation_log.lines import records_of

FILES_MAX = 10_000  # a scan; what is left is found by the next one
OF_EACH_ACCOUNT = "*/log/"
ANYWHERE = "**/"  # a log, or many, however deep under the folder
_PATTERN = "AWSLogs/*/BedrockModelInvocationLogs/*/*/*/*/*/*.json.gz"


class FolderLog:
    """The log under a folder, or under each account's own folder `<accounts>/<account>/log`."""

    def __init__(self, root: Path, *, each: str = "") -> None:
        self._root = root.absolute()
        self._prefix = len(str(self._root / "-")) - 1
        self._of_each_account = bool(each)
        self._pattern = each + _PATTERN
        self.skipped_lines = 0

    async def covers(self, account: str) -> bool:
        folder = self._root / account / "log" if self._of_each_account else self._root
        return await asyncio.to_thread(folder.is_dir)

    async def files(self, since: datetime, done: Container[str]) -> Sequence[str]:
        return await asyncio.to_thread(self._list, since.timestamp(), done)

    async def records(self, name: str) -> Sequence[Mapping[str, Any]]:
        return await asyncio.to_thread(self._read, self._root / name)

    def _list(self, since_s: float, done: Container[str]) -> list[str]:
        found = []
        for path in self._root.glob(self._pattern):
            name = str(path)[self._prefix :]  # a tenth of `relative_to`, for each file at each scan
            if name not in done and (delivered_s := path.stat().st_mtime) >= since_s:
                found.append((delivered_s, name))
        return [name for _, name in sorted(found)[:FILES_MAX]]

    def _read(self, path: Path) -> list[Mapping[str, Any]]:
        records, skipped = records_of(path)
        self.skipped_lines += skipped
        return records
