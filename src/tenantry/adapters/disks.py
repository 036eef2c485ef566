"""How much may still be written where this deployment writes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tenantry.domain.errors import Unavailable

HOME: Final = "home"
DATABASE: Final = "database"  # where the server is Tenantry's own
# A file of PostgreSQL's log, its `wal_segment_size`: a server that cannot make the next one ends.
ROOM_BYTES_MIN: Final = 16 * 1024 * 1024


class Disks:
    """`folders` by what lies in them: `HOME`, `DATABASE`."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)

    def free_bytes(self) -> dict[str, int]:
        """By what lies there, without those that do not say."""
        asked = {name: _free_bytes(folder) for name, folder in self._folders.items()}
        return {name: free for name, free in asked.items() if free is not None}

    def check_room(self) -> None:
        """Raises `Unavailable` where the database has no room: a request that it still takes could
        be one that it can no longer settle. Without room in the home all else is served.
        """
        folder = self._folders.get(DATABASE)
        free = None if folder is None else _free_bytes(folder)
        if free is not None and free < ROOM_BYTES_MIN:
            raise Unavailable("The database's disk is full.")


def _free_bytes(folder: Path) -> int | None:
    """None where the disk does not say: some file systems have zeros for what they do not know."""
    try:
        found = shutil.disk_usage(folder)
    except OSError:
        return None
    return found.free if found.total else None
