"""Files that are whole or absent, whatever dies: temporary file, fsync, rename, fsync of folder.

The one place that writes files, so that a test can count what was made durable.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tenantry.domain.errors import Unavailable

FOLDER_MODE = 0o700
FILE_MODE = 0o600
ROOT_MARK = ".tenantry"  # lies in a root for as long as its disk is there
CLOCK = ".clock"  # an empty file, dated to learn what time it is
TEMPORARY_PREFIX = ".tmp-"  # left by a crash, swept with the orphans
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(slots=True)
class FsyncCount:
    files: int = 0
    folders: int = 0


class DurableFiles:
    """`ports.objects.Files`. Blocking: call it from a thread where a loop is running.

    Below a `root` with no `ROOT_MARK` in it no folder is made and nothing counts as removed: its
    disk is not mounted, and whatever went to the empty folder would be lost once it is.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.fsyncs = FsyncCount()
        self._root = root

    def create(self, path: Path, data: bytes) -> bool:
        try:
            temporary = self._temporary(path, data)
            try:
                # A link never replaces: of two that create at once, one wins and one is told so.
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                temporary.unlink()
            self._sync_folder(path.parent)
        except OSError as error:
            raise _unavailable(error, path) from error
        return True

    def replace(self, path: Path, data: bytes) -> None:
        try:
            temporary = self._temporary(path, data)
            try:
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            self._sync_folder(path.parent)
        except OSError as error:
            raise _unavailable(error, path) from error

    @contextlib.contextmanager
    def stream(self, path: Path) -> Iterator[BinaryIO]:
        try:
            self._make_folder(path.parent)
            temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(12)}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    self.fsyncs.files += 1
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            self._sync_folder(path.parent)
        except OSError as error:
            raise _unavailable(error, path) from error

    def remove(self, path: Path) -> None:
        try:
            path.unlink()
            self._sync_folder(path.parent)
        except FileNotFoundError:
            self._check_root()
        except OSError as error:
            raise _unavailable(error, path) from error

    def now(self, folder: Path) -> float:
        try:
            self._check_root()
            descriptor = os.open(folder / CLOCK, os.O_WRONLY | os.O_CREAT, FILE_MODE)
            try:
                os.utime(descriptor)  # "now", which a file server fills in
                return os.fstat(descriptor).st_mtime
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unavailable(error, folder / CLOCK) from error

    def move(self, path: Path, target: Path) -> bool:
        try:
            if not path.exists():
                self._check_root()
                return False
            self._make_folder(target.parent)
            os.utime(path)
            path.replace(target)
            self._sync_folder(target.parent)
            self._sync_folder(path.parent)
        except FileNotFoundError:  # somebody else moves the same
            return False
        except OSError as error:
            raise _unavailable(error, path) from error
        return True

    def _temporary(self, path: Path, data: bytes) -> Path:
        """The data in a durable file beside its final place."""
        self._make_folder(path.parent)
        temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(12)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
                os.fsync(file.fileno())
                self.fsyncs.files += 1
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _make_folder(self, folder: Path) -> None:
        """The folder and its missing parents, each known to its own parent's disk block."""
        if folder.is_dir():
            return
        self._check_root()
        self._make_folder(folder.parent)
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            return
        self._sync_folder(folder.parent)

    def _check_root(self) -> None:
        if self._root is not None and not (self._root / ROOT_MARK).exists():
            raise Unavailable("The disk of the documents is not there; nothing was changed.")

    def _sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
            self.fsyncs.folders += 1
        finally:
            os.close(descriptor)


def _unavailable(error: OSError, path: Path) -> Unavailable:
    """For whoever asked; the path is for the operator, who is told of the cause too."""
    if error.filename is None:  # as where a write fails, and not an open
        error.filename = str(path)
    if error.errno in _FULL:
        return Unavailable("The disk is full; nothing was stored.")
    return Unavailable(f"The disk refused a write: {error.strerror or 'unknown reason'}.")
