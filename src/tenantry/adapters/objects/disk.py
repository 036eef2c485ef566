"""Objects as files: `<accounts>/<account>/objects/<opaque tenant>/<kind>/<object id>`."""

from __future__ import annotations

import asyncio
import errno
import functools
import hashlib
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tenantry.adapters.objects.durable_file import TEMPORARY_PREFIX
from tenantry.domain.document import Home
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.ports.objects import (
    Files,
    ObjectEntry,
    ObjectKind,
    Range,
    WouldWait,
    name_in_trash,
)

FOLDERS_CACHED = 4_096  # names, not files
CLOCKS_APART_S = 300.0  # machines that follow a time server never are
# The last: of a file system that cannot tell.
_WOULD_WAIT = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL})
# What can be had by other means is not kept: cards and batches of vectors are made anew.
_KEPT = frozenset({ObjectKind.ORIGINAL, ObjectKind.SEGMENT})
# What a crash left half written may be named too, so that the sweep can delete it.
_log = logging.getLogger(__name__)
_SAFE_NAME = re.compile(r"(?:\.tmp-)?[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class DiskObjects:
    """`ports.objects.Objects` in the folders of embedded accounts.

    `trash_s`: how long originals and segments that are discarded can be put back. `may_discard` is
    asked before.
    """

    def __init__(
        self,
        accounts: Path,
        files: Files,
        *,
        trash_s: float = 0.0,
        may_discard: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._accounts = accounts
        self._files = files
        self._trash_s = trash_s
        self._may_discard = may_discard
        self._is_told = False
        self._ranged_folder = functools.lru_cache(FOLDERS_CACHED)(self._folder_name)

    async def put(self, home: Home, kind: ObjectKind, object_id: str, data: bytes) -> None:
        path = self._path(home, kind, object_id)
        if not await asyncio.to_thread(self._files.create, path, data):
            raise Unavailable("An object of this id exists already; nothing was stored.")

    async def get(self, home: Home, kind: ObjectKind, object_id: str) -> bytes:
        path = self._path(home, kind, object_id)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise NotFound("There is no such object.") from None
        except OSError as error:
            raise Unavailable("The disk refused a read.") from error

    def get_ranges(
        self,
        home: Home,
        kind: ObjectKind,
        object_id: str,
        ranges: Sequence[Range],
        *,
        wait: bool = True,
    ) -> Sequence[bytes]:
        try:
            file = os.open(f"{self._ranged_folder(home, kind)}/{_safe(object_id)}", os.O_RDONLY)
            try:
                if not wait:
                    return [_read_from_memory(file, item) for item in ranges]
                _read_ahead(file, ranges)
                return [_read(file, item) for item in ranges]
            finally:
                os.close(file)
        except FileNotFoundError:
            raise NotFound("There is no such object.") from None
        except OSError as error:
            raise Unavailable("The disk refused a read.") from error

    async def delete(self, home: Home, kind: ObjectKind, object_id: str) -> None:
        await asyncio.to_thread(self._files.remove, self._path(home, kind, object_id))

    @property
    def trash_s(self) -> float:
        return self._trash_s

    async def discard(self, home: Home, kind: ObjectKind, object_id: str) -> bool:
        if self._may_discard is not None and not await self._may_discard():
            return False
        path = self._path(home, kind, object_id)
        if self._trash_s and kind in _KEPT and not object_id.startswith(TEMPORARY_PREFIX):
            thrown = self._path(home, ObjectKind.TRASH, name_in_trash(kind, object_id))
            return await asyncio.to_thread(self._files.move, path, thrown)
        await asyncio.to_thread(self._files.remove, path)
        return True

    async def put_back(self, home: Home, kind: ObjectKind, object_id: str) -> bool:
        thrown = self._path(home, ObjectKind.TRASH, name_in_trash(kind, object_id))
        return await asyncio.to_thread(self._files.move, thrown, self._path(home, kind, object_id))

    async def list(self, home: Home, kind: ObjectKind) -> Sequence[ObjectEntry]:
        return await asyncio.to_thread(self._entries, self._folder(home, kind))

    def _entries(self, folder: Path) -> Sequence[ObjectEntry]:
        found = _found(folder)
        now = self._now() if found else 0.0
        return [ObjectEntry(n, of.st_size, max(0.0, now - of.st_mtime)) for n, of in found]

    def _now(self) -> float:
        """What ages are told by. A clock that is ahead makes nothing old: the earlier of the
        store's, which has dated the objects, and of this machine's counts. Where the store does
        not tell, nothing is old.
        """
        local = time.time()
        try:
            store = self._files.now(self._accounts)
        except Unavailable as refusal:
            self._tell("nothing counts as old: the clock of the disk is not told: %s", refusal)
            return 0.0
        apart_s = store - local
        if abs(apart_s) > CLOCKS_APART_S:
            self._tell(
                "the clock of the disk is %+.0f s from this machine's: the earlier one says what is"
                " old enough to be swept",
                apart_s,
            )
        else:
            self._is_told = False
        return min(store, local)

    def _tell(self, message: str, *values: object) -> None:
        """Once, until it is in order again."""
        if not self._is_told:
            _log.warning(message, *values)
        self._is_told = True

    def _path(self, home: Home, kind: ObjectKind, object_id: str) -> Path:
        return self._folder(home, kind) / _safe(object_id)

    def _folder_name(self, home: Home, kind: ObjectKind) -> str:
        return str(self._folder(home, kind))

    def _folder(self, home: Home, kind: ObjectKind) -> Path:
        # A digest of the tenant id, so that a listing of the folder names nobody.
        tenant = hashlib.sha256(b"tenantry/objects/" + home.tenant_id.encode()).hexdigest()[:32]
        return self._accounts / _safe(home.account) / "objects" / tenant / kind.value


def _read_ahead(file: int, ranges: Sequence[Range]) -> None:
    """Let the disk fetch all ranges side by side, where it is asked for several."""
    if len(ranges) > 1 and hasattr(os, "posix_fadvise"):
        for start, length in ranges:
            os.posix_fadvise(file, start, length, os.POSIX_FADV_WILLNEED)


def _read(file: int, item: Range) -> bytes:
    found = os.pread(file, item.length, item.start)
    if 0 < len(found) < item.length:  # a read may be cut short before the end
        parts, position = [found], item.start + len(found)
        while more := os.pread(file, item.start + item.length - position, position):
            parts.append(more)
            position += len(more)
        return b"".join(parts)
    return found


def _read_from_memory(file: int, item: Range) -> bytes:
    """What the kernel holds of a file. It may give less than it holds, which is then asked for
    again by waiting."""
    if not hasattr(os, "RWF_NOWAIT"):
        raise WouldWait
    found = bytearray(item.length)
    try:
        length = os.preadv(file, [found], item.start, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in _WOULD_WAIT:
            raise WouldWait from None
        raise
    if length < item.length:
        raise WouldWait
    return bytes(found)


def _safe(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name):
        raise NotFound("There is no such object.")
    return name


def _found(folder: Path) -> list[tuple[str, os.stat_result]]:
    found = []
    try:
        with os.scandir(folder) as listed:
            for item in listed:
                with suppress(FileNotFoundError):  # removed while listing
                    found.append((item.name, item.stat(follow_symlinks=False)))
    except FileNotFoundError:
        return []
    return found
