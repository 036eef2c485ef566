"""The log where Bedrock delivers it, in a bucket, or in files that were brought from there.

Keys: `[<prefix>/]AWSLogs/<account>/BedrockModelInvocationLogs/<region>/YYYY/MM/DD/HH/….json.gz`.
Where they begin right under the source, only the days that can matter are listed; else everything
is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Container, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from tenantry.adapters.invocation_log.lines import LineReader
from tenantry.adapters.invocation_log.names import FILES_MAX, LOGS, OF_BEDROCK, may_be_log
from tenantry.ports.invocation_log import LogFile
from tenantry.ports.record_files import FileEntry, RecordFiles

DELIVERY_MAX = timedelta(days=1)  # from a call to the file that holds its record, at most
_NAME = re.compile(
    rf"(?:^|.*/){LOGS}/[0-9]{{12}}/{OF_BEDROCK}/[a-z0-9-]+/[0-9]{{4}}(?:/[0-9]{{2}}){{3}}"
    r"/[^/]+\.json(?:\.gz)?$",
    re.ASCII,
)
_FILE = re.compile(r"[^/]+\.jsonl?(?:\.gz)?$", re.ASCII)


class StoredLog(LineReader):
    """`places`: accounts and regions that are said to be logged here; of others the bucket itself
    is asked.

    `period`: of which days the records matter; none: those delivered since an instant. `anywhere`:
    logs may lie in it as a person keeps them.
    """

    def __init__(
        self,
        files: RecordFiles,
        *,
        places: frozenset[tuple[str, str]] = frozenset(),
        period: tuple[datetime, datetime] | None = None,
        anywhere: bool = False,
    ) -> None:
        super().__init__()
        self._files = files
        self._places = places
        self._period = period
        self._anywhere = anywhere
        self._found: dict[tuple[str, str], bool] = {}
        self.where = files.where

    async def covers(self, account: str, region: str) -> bool:
        place = account, region
        if place in self._places:
            return True
        if not self._found.get(place):  # once there is a log, it stays one
            folder = f"{LOGS}/{account}/{OF_BEDROCK}/{region}"
            first = await asyncio.to_thread(lambda: next(self._files.entries(folder), None))
            self._found[place] = first is not None
        return self._found[place]

    async def files(self, since: datetime, done: Container[str]) -> Sequence[str]:
        return await asyncio.to_thread(self._list, since, done)

    async def has_files(self) -> bool:
        return await asyncio.to_thread(lambda: next(self._all(), None) is not None)

    async def records(self, name: str) -> LogFile:
        return await asyncio.to_thread(self._read, name)

    def _list(self, since: datetime, done: Container[str]) -> list[str]:
        found = [
            (entry.delivered_at, entry.name)
            for entry in self._entries(since)
            if entry.name not in done and entry.delivered_at >= since
        ]
        return [name for _, name in sorted(found)[:FILES_MAX]]

    def _all(self) -> Iterator[FileEntry]:
        """Of whatever time."""
        accounts = self._files.folders(LOGS)
        for folder in [f"{LOGS}/{account}/{OF_BEDROCK}" for account in accounts] or [""]:
            found = self._files.entries(folder)
            yield from (entry for entry in found if self._is_log(entry.name))

    def _entries(self, since: datetime) -> Iterator[FileEntry]:
        accounts = self._files.folders(LOGS)
        if not accounts:
            yield from self._all()
            return
        first, last = self._days(since)
        for account in accounts:
            logs = f"{LOGS}/{account}/{OF_BEDROCK}"
            for region in self._files.folders(logs):
                folder = f"{logs}/{region}"
                for entry in self._files.entries(folder, after=f"{folder}/{first}"):
                    if entry.name > f"{folder}/{last}":
                        break
                    if self._is_log(entry.name):
                        yield entry

    def _is_log(self, name: str) -> bool:
        """A file of the log's own layout; of a single file any name of JSON lines."""
        if self._anywhere and may_be_log(name):
            return True
        return _NAME.match(name) is not None or ("/" not in name and _FILE.match(name) is not None)

    def _days(self, since: datetime) -> tuple[str, str]:
        """The first and the last day of the keys that can matter; `:` sorts after every digit."""
        start, last = since, "9999"
        if self._period is not None:
            start = max(since, self._period[0])
            last = f"{self._period[1] + DELIVERY_MAX:%Y/%m/%d}"
        begin = start - DELIVERY_MAX if start > datetime.fromtimestamp(0, UTC) else start
        return f"{begin:%Y/%m/%d}", f"{last}:"

    def _read(self, name: str) -> LogFile:
        with self._files.local(name) as path:
            return self.read(path, name)
