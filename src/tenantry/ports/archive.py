"""Archiving the ledger by months: the books, the files, and who signs.

Owns: the words. Every step can be broken off and done again; nothing here deletes a file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from tenantry.domain.archive import ArchivedFile, Book, BookSum

Row = Mapping[str, Any]  # a posting: the columns of domain/archive.py, decimals as text


@dataclass(frozen=True, slots=True)
class SignedManifest:
    content: bytes  # canonical
    signature: bytes


@dataclass(frozen=True, slots=True)
class Archived:
    """A month that is in the archive, as the books know it."""

    month: date
    manifest: str  # its place in the folder
    manifest_sha256: bytes
    archived_at: datetime


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What stands in a month's way. `named`: the first few requests and tenants that do, a line
    each, with why a period could not be invoiced; `more`: how many there are beside them.
    """

    reasons: Sequence[str]
    named: Sequence[str] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Carried:
    """An entry that stands for a tenant's month in a book."""

    total: BookSum
    content: bytes
    signature: bytes


class MonthReader(Protocol):
    """One snapshot of a month."""

    async def sums(self) -> list[BookSum]:
        """In order of tenant, book and currency."""
        ...

    def rows(self, book: Book) -> AsyncIterator[Sequence[Row]]:
        """In batches, in order of tenant and admission."""
        ...


class LedgerMonths(Protocol):
    async def oldest(self) -> date | None:
        """The oldest month that has a partition and is over."""
        ...

    async def obstacles(self, month: date) -> Obstacles | None:
        """Why it cannot be archived now; None: it can."""
        ...

    def reading(self, month: date) -> AbstractAsyncContextManager[MonthReader]: ...

    async def replace(
        self, month: date, manifest: str, manifest_sha256: bytes, entries: Sequence[Carried]
    ) -> None:
        """Posts what stands for the month and drops its rows, in one transaction. Raises
        `Conflict`: the books hold something else, or what `obstacles` tells.
        """
        ...

    async def archived(self) -> list[Archived]: ...

    async def carried(self, month: date) -> list[Carried]:
        """In order of tenant, book and currency."""
        ...

    async def now(self) -> datetime:
        """By the database's clock."""
        ...


class MonthWriter(Protocol):
    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> ArchivedFile:
        """Durable under its name on return."""
        ...


class ArchiveFiles(Protocol):
    """Files of months. Blocking: call it from a thread where a loop is running."""

    def latest(self, month: date) -> str | None:
        """The place of the month's last manifest."""
        ...

    def next_place(self, month: date) -> str:
        """Where a manifest is to be written: nobody has completed anything there."""
        ...

    def writing(
        self, place: str, book: Book, month: date
    ) -> AbstractContextManager[MonthWriter]: ...

    def put_manifest(self, place: str, manifest: SignedManifest) -> None:
        """Durable on return; its files are already."""
        ...

    def manifest(self, place: str) -> SignedManifest:
        """Raises `ArchiveBroken`, `NotFound`."""
        ...

    def check(self, place: str, file: ArchivedFile) -> None:
        """Raises `ArchiveBroken` where a file is absent or other bytes."""
        ...

    def rows(self, place: str, file: ArchivedFile) -> Iterator[Row]: ...


class Signer(Protocol):
    """The control plane's key for archives, Ed25519."""

    @property
    def public_key(self) -> bytes: ...

    def sign(self, content: bytes) -> bytes: ...

    def verifies(self, content: bytes, signature: bytes) -> bool: ...
