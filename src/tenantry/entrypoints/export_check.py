"""Whether an export is whole and what was exported: every hash, every count, nothing more."""

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tenantry.entrypoints.export_sinks import (
    FOLDERS,
    JOURNAL,
    MANIFEST,
    PART,
    PIECE_BYTES,
    SUMS,
)
from tenantry.entrypoints.export_target import FORMAT

SMALL_BYTES_MAX: Final = 16 * 1024 * 1024  # of a manifest
_WITH_FILES: Final = frozenset({"documents.jsonl", "batch_jobs.jsonl"})  # that have rows with files


class ExportBroken(ValueError):
    """The export is not what its manifest says; the message names the file."""


def check_export(target: Path) -> dict[str, Any]:
    """The manifest. Raises `ExportBroken`, `OSError`. Memory is bounded but for the names."""
    seen: dict[str, str] = {}
    sizes: dict[str, int] = {}
    lines: dict[str, int] = {}
    said: list[_Said] = []
    small: dict[str, bytes] = {}
    for name, file in _files(target):
        if name in seen or name in small:
            raise ExportBroken(f"{name} is there twice")
        if name == MANIFEST:
            small[name] = file.read(SMALL_BYTES_MAX)
            continue
        digest, newlines, size = hashlib.sha256(), 0, 0
        kept, rest = bytearray(), b""
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            newlines += piece.count(b"\n")
            size += len(piece)
            if name == SUMS:
                kept += piece
            elif name in _WITH_FILES:
                *whole, rest = (rest + piece).split(b"\n")
                said += _said(name, whole)
        if name == SUMS:
            small[name] = bytes(kept)
        seen[name], sizes[name], lines[name] = digest.hexdigest(), size, newlines
    manifest = _manifest(small.get(MANIFEST))
    if seen.pop(SUMS, None) != manifest.get("sha256sums_sha256"):
        raise ExportBroken(f"{SUMS} is not the one that the manifest names")
    for row in said:
        row.check(seen, sizes)
    _compare(small[SUMS], seen)
    for section, count in manifest["counts"].items():
        if lines.get(f"{section}.jsonl") != count:
            raise ExportBroken(f"{section}.jsonl does not have {count:,} lines")
    return manifest


@dataclass(frozen=True, slots=True)
class _Said:
    """What a row says of its file."""

    section: str
    row_id: str
    file: str
    sha256: str
    size_bytes: int | None

    def check(self, seen: Mapping[str, str], sizes: Mapping[str, int]) -> None:
        row = f"{self.section}: {self.row_id}"
        if self.file not in seen:
            raise ExportBroken(f"{row} names {self.file}, which is missing")
        if self.size_bytes is not None and sizes[self.file] != self.size_bytes:
            raise ExportBroken(f"{row}: {self.file} does not have the size that is said")
        if seen[self.file] != self.sha256:
            raise ExportBroken(f"{row}: {self.file} is not the file that is said")


def _said(section: str, lines: Iterable[bytes]) -> Iterator[_Said]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            raise ExportBroken(f"{section} has a line that is no JSON") from None
        if isinstance(row, dict) and "file" in row:
            size = row.get("size_bytes")
            yield _Said(section, str(row.get("id")), str(row["file"]), str(row.get("sha256")), size)


def _manifest(text: bytes | None) -> dict[str, Any]:
    try:
        manifest = json.loads(text or b"")
    except ValueError:
        raise ExportBroken(f"there is no readable {MANIFEST}: the export did not end") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ExportBroken(f"{MANIFEST} is of no format that is known")
    return manifest


def _compare(sums: bytes, seen: dict[str, str]) -> None:
    for line in sums.decode("ascii", "replace").splitlines():
        sha256, _, name = line.partition("  ")
        found = seen.pop(name, None)
        if found is None:
            raise ExportBroken(f"{name} is missing")
        if found != sha256:
            raise ExportBroken(f"{name} is not what was exported")
    if seen:
        raise ExportBroken(f"{next(iter(seen))} was not exported")


def _files(target: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if target.is_dir():
        yield from _in_folder(target)
    elif tarfile.is_tarfile(target):
        with tarfile.open(target, "r|") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                if file is None:  # also one that stands for another
                    raise ExportBroken(f"{member.name} is no file")
                yield member.name, file
                tar.members.clear()  # type: ignore[attr-defined] # or it remembers every one
    elif zipfile.is_zipfile(target):
        with zipfile.ZipFile(target) as zipped:
            for info in zipped.infolist():
                if info.is_dir() or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                    raise ExportBroken(f"{info.filename} is no file")
                with closing(zipped.open(info)) as file:
                    yield info.filename, file
    else:
        raise ExportBroken(f"{target} is no folder, .tar or .zip")


def _in_folder(folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Nothing is reached by a link: what it leads to is not in the export."""
    for path in sorted(folder.iterdir()):
        if path.name in FOLDERS and path.is_dir() and not path.is_symlink():
            for inner in sorted(path.iterdir()):
                yield from _in_place(f"{path.name}/{inner.name}", inner)
        else:
            yield from _in_place(path.name, path)


def _in_place(name: str, path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if name == JOURNAL or name.endswith(PART):
        raise ExportBroken(f"{name} is there: the export did not end; run it again")
    if path.is_symlink() or not path.is_file():
        raise ExportBroken(f"{name} is no file, and was not exported")
    with path.open("rb") as file:
        yield name, file
