"""Files under a folder of this machine, or one file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tenantry.ports.record_files import FileEntry


class LocalFiles:
    def __init__(self, root: Path) -> None:
        if not root.exists():
            raise FileNotFoundError(f"there is no file or folder {root}")
        self._root = root.parent if root.is_file() else root
        self._only = root if root.is_file() else None
        self.where = str(root)

    def entries(self, folder: str = "", *, after: str = "") -> Iterator[FileEntry]:
        if self._only is not None:
            yield self._entry(self._only)
            return
        base = self._root / folder
        names = sorted(
            path.relative_to(self._root).as_posix() for path in base.rglob("*") if path.is_file()
        )
        yield from (self._entry(self._root / name) for name in names if name > after)

    def folders(self, folder: str = "") -> list[str]:
        base = self._root / folder
        if self._only is not None or not base.is_dir():
            return []
        return sorted(path.name for path in base.iterdir() if path.is_dir())

    def local(self, name: str) -> contextlib.AbstractContextManager[Path]:
        return contextlib.nullcontext(self._root / name)

    def _entry(self, path: Path) -> FileEntry:
        found = path.stat()
        at = datetime.fromtimestamp(found.st_mtime, UTC)
        return FileEntry(path.relative_to(self._root).as_posix(), at, found.st_size)
