"""Places for the files of an export: a folder, a .tar or a .zip, each whole or not there.

A file of an archive is whole before it is added, an archive before it has its name. A folder is
taken up again where its journal says that the same export was begun in it, and never another one:
what is a whole tenant's must not be left in what is handed to one of its users.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Final, Protocol

SUMS: Final = "SHA256SUMS"
MANIFEST: Final = "manifest.json"
JOURNAL: Final = ".journal"
PART: Final = ".part"
PIECE_BYTES: Final = 1024 * 1024
# Of archives that are not written: a folder of such a name would be taken for one.
_OTHER_ARCHIVES: Final = frozenset(
    {".7z", ".bz2", ".gz", ".lz4", ".lzma", ".rar", ".tbz2", ".tgz", ".txz", ".tzst", ".xz", ".zst"}
)
FOLDERS: Final = ("originals", "outputs")
CONTENT_NAME: Final = re.compile(rf"({'|'.join(FOLDERS)})/[A-Za-z0-9_-]{{1,64}}(\.jsonl)?")
_OURS: Final = re.compile(
    rf"({CONTENT_NAME.pattern}|[a-z][a-z_]{{0,39}}\.jsonl|{SUMS}|manifest\.json|\.journal)(\.part)?"
)


class TargetTaken(ValueError):
    """Something lies there that is not this export, cut off."""


class TargetUnknown(ValueError):
    """The name is of an archive that is not written."""


class NotWritten(OSError):
    """A disk took no more. The message names the place and what to do."""


class Sink(Protocol):
    """A place for files. Each name comes once."""

    def put(self, name: str, source: IO[bytes], size: int) -> None: ...

    def done(self, names: Collection[str]) -> None:
        """Everything is written, these names; only now the export has its name."""
        ...

    def close(self) -> None:
        """Gives everything back, also what is not whole. Raises nothing. Idempotent."""
        ...


def check_name(target: Path) -> None:
    """Raises `TargetUnknown`."""
    suffix = target.suffix.lower()
    if suffix in _OTHER_ARCHIVES:
        raise TargetUnknown(f"{target}: an export is a folder, a .tar or a .zip, and no {suffix}")


def sink_for(target: Path, whose: Mapping[str, str]) -> Sink:
    """`whose` tells this export from any other. Raises `TargetTaken`, `TargetUnknown`."""
    check_name(target)
    suffix = target.suffix.lower()
    if suffix == ".tar":
        return TarSink(target)
    return ZipSink(target) if suffix == ".zip" else FolderSink(target, whose)


@contextlib.contextmanager
def writing_to(place: Path, advice: str) -> Iterator[None]:
    """What the disk says of a file that is open names no path: this does."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.strerror is None:
            raise
        raise NotWritten(f"{place}: {error.strerror}; {advice}") from error


class FolderSink:
    def __init__(self, folder: Path, whose: Mapping[str, str]) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal, part = folder / JOURNAL, folder / (JOURNAL + PART)
        head = json.dumps(whose, sort_keys=True)
        if not journal.is_file():
            if any(path != part for path in folder.iterdir()):
                raise TargetTaken(f"{folder} is not empty, and holds no export that was cut off")
            with _private(part) as file:
                file.write(head.encode() + b"\n")
            part.replace(journal)
        elif _first_line(journal) != head:
            raise TargetTaken(
                f"{folder} holds an export that was cut off and is not this one: of another tenant"
                " or user, of a whole tenant, or of an earlier version; name another folder"
            )
        for name in _names_in(folder):
            if not _OURS.fullmatch(name):
                raise TargetTaken(f"{folder} holds {name}, which is of no export: take it away")

    def put(self, name: str, source: IO[bytes], size: int) -> None:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        part = path.with_name(path.name + PART)
        with _private(part) as file:
            shutil.copyfileobj(source, file, PIECE_BYTES)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def done(self, names: Collection[str]) -> None:
        """What an earlier try left and this one does not have is deleted."""
        keep = {*names, SUMS, MANIFEST, JOURNAL}
        for name in list(_names_in(self._folder)):
            if name not in keep and _OURS.fullmatch(name):
                (self._folder / name).unlink()
        (self._folder / JOURNAL).unlink()

    def close(self) -> None:
        return


def _names_in(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(folder).as_posix()


def _first_line(path: Path) -> str:
    with path.open("r", encoding="utf-8", errors="replace") as lines:
        return lines.readline().rstrip("\n")


class _Part:
    """The file of an archive under way, beside the name that it will have."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise TargetTaken(f"{path} is there already")
        self._path = path
        self._part = path.with_name(path.name + PART)
        self.file = _private(self._part)

    def finish(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._part.replace(self._path)

    def drop(self) -> None:
        """First the name: originals can be read there, and closing fails where the disk is full."""
        self._part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.file.close()


class TarSink:
    def __init__(self, path: Path) -> None:
        self._part = _Part(path)
        self._tar = tarfile.open(fileobj=self._part.file, mode="w")  # noqa: SIM115 - in `done`

    def put(self, name: str, source: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._tar.addfile(member, source)
        self._tar.members.clear()  # type: ignore[attr-defined] # or it remembers every one

    def done(self, names: Collection[str]) -> None:
        self._tar.close()
        self._part.finish()

    def close(self) -> None:
        self._part.drop()


class ZipSink:
    """Keeps the archive's directory in memory, as the format asks: about 500 bytes a file."""

    def __init__(self, path: Path) -> None:
        self._part = _Part(path)
        self._zip = zipfile.ZipFile(self._part.file, "w", zipfile.ZIP_DEFLATED)

    def put(self, name: str, source: IO[bytes], size: int) -> None:
        with self._zip.open(name, "w", force_zip64=True) as file:
            shutil.copyfileobj(source, file, PIECE_BYTES)

    def done(self, names: Collection[str]) -> None:
        self._zip.close()
        self._part.finish()

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # else it is tried again when forgotten
            self._zip.close()
        self._part.drop()


def _private(path: Path) -> IO[bytes]:
    """A new file that its owner alone may read, in place of what an earlier try left there."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
