"""Objects: sealed bytes under random names, in the tenant's account. And the files beneath them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from tenantry.domain.document import Home


class WouldWait(Exception):
    """A read was not to wait, and would have."""


class ObjectKind(StrEnum):
    """One folder or prefix each, so that what sweeps one kind never sees another."""

    ORIGINAL = "originals"
    CARD = "cards"  # of a large original, under its name
    SEGMENT = "segments"
    BATCH = "batches"
    JOB = "jobs"
    RESULT = "results"
    ANSWER = "answers"
    SESSION = "sessions"
    # What no row names any more, for a time. The last, for a shred goes through them in this order:
    # what moves there meanwhile is found.
    TRASH = "trash"


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    object_id: str
    size_bytes: int
    age_s: float  # by the store's own clock, and no older than by this machine's


class Range(NamedTuple):
    start: int
    length: int


class Objects(Protocol):
    """Written whole, read whole or by ranges. What is put is sealed already; the store learns
    size and time.

    Errors: NotFound for an absent object; Unavailable for a store that is full or out of reach.
    """

    async def put(self, home: Home, kind: ObjectKind, object_id: str, data: bytes) -> None:
        """Durable on return; an object id is written once and never again."""
        ...

    async def get(self, home: Home, kind: ObjectKind, object_id: str) -> bytes: ...

    def get_ranges(
        self,
        home: Home,
        kind: ObjectKind,
        object_id: str,
        ranges: Sequence[Range],
        *,
        wait: bool = True,
    ) -> Sequence[bytes]:
        """The bytes of each range, fewer where the object ends before.

        Blocking: a search calls it from the thread that scans, where a change of thread for each
        range would cost more than the range. `wait=False` reads what this machine's memory has
        and raises `WouldWait` where that is not all of it, or nobody can tell.
        """
        ...

    async def delete(self, home: Home, kind: ObjectKind, object_id: str) -> None:
        """Idempotent: an absent object is no error."""
        ...

    @property
    def trash_s(self) -> float:
        """How long the trash keeps what is discarded; 0: there is none."""
        ...

    async def discard(self, home: Home, kind: ObjectKind, object_id: str) -> bool:
        """Delete what no row names any more, by way of the trash where there is one.

        False, nothing changed: it is absent, or the objects are of another database than asks.
        """
        ...

    async def put_back(self, home: Home, kind: ObjectKind, object_id: str) -> bool:
        """Out of the trash, whole, in its place. False: it is not there."""
        ...

    async def list(self, home: Home, kind: ObjectKind) -> Sequence[ObjectEntry]: ...


def name_in_trash(kind: ObjectKind, object_id: str) -> str:
    return f"{kind.value}-{object_id}"


class Files(Protocol):
    """Writes what must be whole and durable. Folders are made 0700, files 0600."""

    def create(self, path: Path, data: bytes) -> bool:
        """Write a new file whole and durable. False, and nothing changed, where one exists."""
        ...

    def replace(self, path: Path, data: bytes) -> None:
        """Write a file whole and durable in place of the old one, if any."""
        ...

    def stream(self, path: Path) -> AbstractContextManager[BinaryIO]:
        """A file to write piece by piece: whole and durable under its name, in place of the old
        one, once the block has ended; nothing changes where it raises.
        """
        ...

    def remove(self, path: Path) -> None:
        """Durable removal; an absent file is no error."""
        ...

    def now(self, folder: Path) -> float:
        """The time by which files that are written in it are dated, as seconds since 1970: of a
        file server its own."""
        ...

    def move(self, path: Path, target: Path) -> bool:
        """Durable renaming on one disk, in place of what is there; its time is then now. False:
        the file is absent."""
        ...
