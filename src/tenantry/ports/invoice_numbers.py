"""The series of documents' numbers: the database's, what a file beside it says, and told gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tenantry.domain.invoice_numbers import Given


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers `first` to `last` of a series that this database has no documents of, for good."""

    series: str
    first: int
    last: int
    told_by: str
    reason: str
    told_at: datetime


class SeriesBook(Protocol):
    """The database's side. Errors: Unavailable."""

    async def series(self) -> Mapping[str, int]:
        """The last number of each series."""
        ...

    async def digests(self, numbers: Sequence[str]) -> Mapping[str, str]:
        """SHA-256 in hexadecimal by number, of those that have a document. It reads all rows."""
        ...

    async def gaps(self, limit: int) -> list[Gap]:
        """The latest told first."""
        ...

    async def continue_after(self, series: str, last: int, by: str, reason: str) -> Gap:
        """Records all numbers up to `last` that were not given as a gap. Raises `Conflict` where
        there are none, or too many."""
        ...


class NumberFile(Protocol):
    """What lies beside the database and is not restored with it. It is never ahead of the database
    that it was written for, and never goes back. Errors: Unavailable; Corrupt."""

    async def read(self) -> Mapping[str, Given]:
        """The last number of each series; none where there was no file yet."""
        ...

    async def keep(self, given: Mapping[str, Given]) -> None:
        """Durable on return; a number that is before what is there changes nothing, and no digest
        of the same number takes another's place."""
        ...


class NumberGuard(Protocol):
    """Asked by whoever makes a document final."""

    async def check(self) -> None:
        """Before. Raises `Conflict` where numbers were given that the database does not know, or
        has other documents of; Unavailable or Corrupt where that cannot be told."""
        ...

    async def given(self, number: str, sha256: str) -> None:
        """After its commit, and before the document is handed out. `sha256`: hexadecimal."""
        ...
