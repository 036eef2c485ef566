"""How much may still be written where this deployment writes."""

from __future__ import annotations

import asyncio
import contextlib
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

    async def free_bytes(self) -> dict[str, int]:
        """By what lies there, without those that do not say."""
        return await asyncio.to_thread(self._ask)

    async def check_room(self) -> None:
        """Raises `Unavailable` where the database has no room: a request that it still takes could
        be one that it can no longer settle. Without room in the home all else is served.
        """
        if (await self.free_bytes()).get(DATABASE, ROOM_BYTES_MIN) < ROOM_BYTES_MIN:
            raise Unavailable("The database's disk is full.")

    def _ask(self) -> dict[str, int]:
        found = {}
        for name, folder in self._folders.items():
            with contextlib.suppress(OSError):
                found[name] = shutil.disk_usage(folder).free
        return found
