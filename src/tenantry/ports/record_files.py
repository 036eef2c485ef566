"""Files that a provider leaves for us, in a folder or a bucket: its logs, its bill. Read only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FileEntry:
    """`name` is the path under the source, with `/`."""

    name: str
    delivered_at: datetime
    bytes: int


class RecordFiles(Protocol):
    """Blocking; callers on an event loop use a thread. Each raises `OSError` where the files
    cannot be reached now, and never takes an outage for an empty folder.
    """

    @property
    def where(self) -> str:
        """As a person names it, for messages."""
        ...

    def entries(self, folder: str = "", *, after: str = "") -> Iterator[FileEntry]:
        """Every file at any depth under a folder, in ascending order of names, those after one."""
        ...

    def folders(self, folder: str = "") -> list[str]:
        """The names of the folders directly in one."""
        ...

    def local(self, name: str) -> AbstractContextManager[Path]:
        """The file on this machine's disk for as long as the block runs."""
        ...
