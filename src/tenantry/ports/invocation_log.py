"""Bedrock's model invocation log, as delivered: late, out of order, gzipped JSON lines."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class LogFile:
    """What a file gave. `unread`: why that is not all of it; empty: it was read to its end."""

    records: Sequence[Mapping[str, Any]]
    skipped_lines: int = 0  # that are no records, of a file that was read to its end
    unread: str = ""


class InvocationLog(Protocol):
    """One account's log. Delivery is at least once; reading a file again must be harmless."""

    async def covers(self, account: str, region: str) -> bool:
        """Whether calls of an account in a region are logged here: what is unknown of them can be
        waited for.
        """
        ...

    async def files(self, since: datetime, done: Container[str]) -> Sequence[str]:
        """Names of files delivered since an instant and not in `done`: oldest first, bounded in
        number, so that a listing goes on where the one before ended.
        """
        ...

    async def records(self, name: str) -> LogFile:
        """The records of one file. A line that is not a record is skipped and counted; a file that
        can be read in part alone gives what is whole, and says so. Raises `OSError` where the file
        cannot be read now.
        """
        ...


class CountingLog(InvocationLog, Protocol):
    """A log that says what it passed over: a report must not look more complete than it is."""

    @property
    def where(self) -> str:
        """As a person names it, for messages."""
        ...

    @property
    def skipped_lines(self) -> int:
        """Lines that were not records, so far, of files that can be read."""
        ...

    @property
    def unreadable_files(self) -> Sequence[str]:
        """Names of files, so far, that are no log or not the whole of one."""
        ...

    async def has_files(self) -> bool:
        """Whether there is a file of a log at all, of whatever time."""
        ...
