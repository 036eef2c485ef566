"""Where an export is written: a folder, a .tar or a .zip; and how it is told to be whole.

    <section>.jsonl             one JSON object a line
    originals/<document id>     the bytes as they were uploaded
    outputs/<job id>.jsonl      what a batch job answered
    SHA256SUMS                  of all files above, as they were written; for `sha256sum -c`
    manifest.json               tenant, time, counts, and the hash of SHA256SUMS

Names are made of ids that were checked to be ids; what a tenant calls its files is only ever a
value in a line. A file of an archive is whole before it is added, an archive before it has its
name. In a folder, what an earlier try wrote whole is kept, by its hash in the journal of that try.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol

FORMAT: Final = 1
SUMS: Final = "SHA256SUMS"
MANIFEST: Final = "manifest.json"
JOURNAL: Final = ".journal"
PART: Final = ".part"
PIECE_BYTES: Final = 1024 * 1024
# Of archives that are not written: a folder of such a name would be taken for one.
_OTHER_ARCHIVES: Final = frozenset(
    {".7z", ".bz2", ".gz", ".lz4", ".lzma", ".rar", ".tbz2", ".tgz", ".txz", ".tzst", ".xz", ".zst"}
)
_NAME: Final = re.compile(r"(originals|outputs)/[A-Za-z0-9_-]{1,64}(\.jsonl)?")


class TargetTaken(ValueError):
    """Something lies there that is no export which was cut off."""


class TargetUnknown(ValueError):
    """The name is of an archive that is not written."""


class Sink(Protocol):
    """A place for files. Each name comes once."""

    def put(self, name: str, source: IO[bytes], size: int) -> None: ...

    def done(self) -> None:
        """Everything is written; only now the export has its name."""
        ...

    def close(self) -> None: ...


class FolderSink:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / JOURNAL).is_file():
            raise TargetTaken(f"{folder} is not empty, and holds no export that was cut off")
        (folder / JOURNAL).touch(mode=0o600)

    def put(self, name: str, source: IO[bytes], size: int) -> None:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        part = path.with_name(path.name + PART)
        with _private(part) as file:
            shutil.copyfileobj(source, file, PIECE_BYTES)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def done(self) -> None:
        return

    def close(self) -> None:
        return


class TarSink:
    def __init__(self, path: Path) -> None:
        self._path = _free(path)
        self._part = path.with_name(path.name + PART)
        self._file = _private(self._part)
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115 - closed in `close`

    def put(self, name: str, source: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._tar.addfile(member, source)
        self._tar.members.clear()  # type: ignore[attr-defined] # or it remembers every one

    def done(self) -> None:
        self._tar.close()
        self._file.close()
        self._part.replace(self._path)

    def close(self) -> None:
        self._tar.close()
        self._file.close()
        self._part.unlink(missing_ok=True)


class ZipSink:
    """Keeps the archive's directory in memory, as the format asks: about 500 bytes a file."""

    def __init__(self, path: Path) -> None:
        self._path = _free(path)
        self._part = path.with_name(path.name + PART)
        self._file = _private(self._part)
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED)

    def put(self, name: str, source: IO[bytes], size: int) -> None:
        with self._zip.open(name, "w", force_zip64=True) as file:
            shutil.copyfileobj(source, file, PIECE_BYTES)

    def done(self) -> None:
        self._zip.close()
        self._file.close()
        self._part.replace(self._path)

    def close(self) -> None:
        self._zip.close()
        self._file.close()
        self._part.unlink(missing_ok=True)


def _private(path: Path) -> IO[bytes]:
    """A new file that its owner alone may read, in place of what an earlier try left there."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def _free(path: Path) -> Path:
    if path.exists():
        raise TargetTaken(f"{path} is there already")
    return path


class ExportWriter:
    """Writes files, counts and hashes them. Use it in a `with` block; `finish` makes it whole.

    Raises `TargetTaken`, `TargetUnknown`.
    """

    def __init__(self, target: Path) -> None:
        self._counts: dict[str, int] = {}
        self._folder: Path | None = None
        self._sink: Sink
        suffix = target.suffix.lower()
        if suffix in _OTHER_ARCHIVES:
            raise TargetUnknown(
                f"{target}: an export is a folder, a .tar or a .zip, and no {suffix}"
            )
        if suffix == ".tar":
            self._sink = TarSink(target)
        elif suffix == ".zip":
            self._sink = ZipSink(target)
        else:
            self._folder = target
            self._sink = FolderSink(target)
        self._scratch = tempfile.TemporaryDirectory(prefix="tenantry-export-")
        self._sums = Path(self._scratch.name) / SUMS
        self._sums.touch(mode=0o600)
        self._known = _journal(self._folder)
        self._stale = set(self._known)  # of an earlier try, and not written again yet

    def __enter__(self) -> ExportWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.close()
        self._scratch.cleanup()

    def kept(self, name: str, stamp: str) -> str | None:
        """The hash of a file that an earlier try wrote whole, if it is still that one."""
        known = self._known.get(name)
        if self._folder is None or known is None or known[0] != stamp:
            return None
        path = self._folder / name
        if not path.is_file() or _sha256_of(path) != known[1]:
            return None
        self._note(name, known[1], stamp)
        return known[1]

    def add(self, name: str, chunks: Iterable[bytes], stamp: str = "") -> str:
        """One file; its SHA-256."""
        with tempfile.TemporaryFile(dir=self._scratch.name) as spool:
            digest, size = hashlib.sha256(), 0
            for chunk in chunks:
                spool.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            spool.seek(0)
            self._sink.put(name, spool, size)
        self._note(name, digest.hexdigest(), stamp)
        return digest.hexdigest()

    def add_lines(self, section: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """`<section>.jsonl`; how many lines."""
        count = 0

        def lines() -> Iterator[bytes]:
            nonlocal count
            for row in rows:
                count += 1
                yield json.dumps(row, ensure_ascii=False, sort_keys=True).encode() + b"\n"

        self.add(f"{section}.jsonl", lines())
        self._counts[section] = count
        return count

    def finish(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """The sums and the manifest, last; returns the manifest."""
        manifest = {
            "format": FORMAT,
            **about,
            "counts": self._counts,
            "sha256sums_sha256": _sha256_of(self._sums),
        }
        with self._sums.open("rb") as sums:
            self._sink.put(SUMS, sums, self._sums.stat().st_size)
        text = json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True).encode()
        self._sink.put(MANIFEST, io.BytesIO(text), len(text))
        self._sink.done()
        if self._folder is not None:
            for name in self._stale:  # deleted since
                (self._folder / name).unlink(missing_ok=True)
            (self._folder / JOURNAL).unlink(missing_ok=True)
        return manifest

    def _note(self, name: str, sha256: str, stamp: str) -> None:
        with self._sums.open("a", encoding="ascii") as sums:
            sums.write(f"{sha256}  {name}\n")
        self._stale.discard(name)
        if self._folder is not None and stamp and self._known.get(name) != (stamp, sha256):
            with (self._folder / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps([name, stamp, sha256]) + "\n")


def _journal(folder: Path | None) -> dict[str, tuple[str, str]]:
    """What an earlier try wrote whole: name → stamp and hash. A line cut short is none."""
    known: dict[str, tuple[str, str]] = {}
    if folder is None or not (folder / JOURNAL).is_file():
        return known
    with (folder / JOURNAL).open("r", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                name, stamp, sha256 = json.loads(line)
            except (TypeError, ValueError):
                continue
            if _NAME.fullmatch(str(name)) is None:
                continue
            known[str(name)] = (str(stamp), str(sha256))
    return known


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
