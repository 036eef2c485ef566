"""Bedrock's model invocation log, as delivered: late, out of order, gzipped JSON lines."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol


class InvocationLog(Protocol):
    """One account's log. Delivery is at least once; reading a file again must be harmless."""

    async def covers(self, account: str) -> bool:
        """Whether calls of an account are logged here: what is unknown of it can be waited for."""
        ...

    async def files(self, since: datetime, done: Container[str]) -> Sequence[str]:
        """Names of files delivered since an instant and not in `done`: oldest first, bounded in
        number, so that a listing goes on where the one before ended.
        """
        ...

    async def records(self, name: str) -> Sequence[Mapping[str, Any]]:
        """The records of one file. A line that is not a record is skipped and counted by the
        implementation; a file cut short gives what is whole. Raises `OSError` where the file
        cannot be read now.
        """
        ...


class CountingLog(InvocationLog, Protocol):
    """A log that says what it passed over: a report must not look more complete than it is."""

    @property
    def skipped_lines(self) -> int:
        """Lines that were not records, and files cut short, so far."""
        ...
