"""What an export is made of, and how it is told to be whole; `export_sinks` says where it goes.

    <section>.jsonl             one JSON object a line
    originals/<document id>     the bytes as they were uploaded
    outputs/<job id>.jsonl      what a batch job answered
    SHA256SUMS                  of all files above, as they were written; for `sha256sum -c`
    manifest.json               tenant, time, counts, and the hash of SHA256SUMS

Names are made of ids that were checked to be ids; what a tenant calls its files is only ever a
value in a line. In a folder, what an earlier try of the same export wrote whole is kept, by its
hash in the journal of that try.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from tenantry.entrypoints.export_sinks import (
    CONTENT_NAME,
    JOURNAL,
    MANIFEST,
    SUMS,
    FolderSink,
    sink_for,
    writing_to,
)

FORMAT: Final = 1
_AT_TARGET: Final = "make room there, and run the command again"
_AT_SCRATCH: Final = "make room there or name another folder by TMPDIR, and run the command again"


class ExportWriter:
    """Writes files, counts and hashes them. Use it in a `with` block; `finish` makes it whole.

    `whose` names tenant and kind, and the user of an export of one: a folder of another export is
    not gone on with. Raises `TargetTaken`, `TargetUnknown`, `NotWritten`.
    """

    def __init__(self, target: Path, whose: Mapping[str, str]) -> None:
        self._target = target
        self._counts: dict[str, int] = {}
        self._sink = sink_for(target, whose)
        self._folder = target if isinstance(self._sink, FolderSink) else None
        try:
            self._scratch = tempfile.TemporaryDirectory(prefix="tenantry-export-")
        except OSError:
            self._sink.close()
            raise
        self._sums = Path(self._scratch.name) / SUMS
        self._sums.touch(mode=0o600)
        self._known = _journal(self._folder)

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
        digest, size = hashlib.sha256(), 0
        scratch = self._sums.parent
        with writing_to(scratch, _AT_SCRATCH), tempfile.TemporaryFile(dir=scratch) as spool:
            for chunk in chunks:
                spool.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            spool.seek(0)
            self._put(name, spool, size)
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
            self._put(SUMS, sums, self._sums.stat().st_size)
        text = json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True).encode()
        self._put(MANIFEST, io.BytesIO(text), len(text))
        with self._sums.open("r", encoding="ascii") as lines:
            names = {line.rstrip("\n").partition("  ")[2] for line in lines}
        with writing_to(self._target, _AT_TARGET):
            self._sink.done(names)
        return manifest

    def _put(self, name: str, source: IO[bytes], size: int) -> None:
        with writing_to(self._target, _AT_TARGET):
            self._sink.put(name, source, size)

    def _note(self, name: str, sha256: str, stamp: str) -> None:
        with (
            writing_to(self._sums.parent, _AT_SCRATCH),
            self._sums.open("a", encoding="ascii") as sums,
        ):
            sums.write(f"{sha256}  {name}\n")
        if self._folder is None or not stamp or self._known.get(name) == (stamp, sha256):
            return
        with (
            writing_to(self._target, _AT_TARGET),
            (self._folder / JOURNAL).open("a", encoding="utf-8") as journal,
        ):
            journal.write(json.dumps([name, stamp, sha256]) + "\n")


def _journal(folder: Path | None) -> dict[str, tuple[str, str]]:
    """What an earlier try wrote whole: name → stamp and hash. A line cut short is none."""
    known: dict[str, tuple[str, str]] = {}
    if folder is None:
        return known
    with (folder / JOURNAL).open("r", encoding="utf-8", errors="replace") as lines:
        next(lines, None)  # whose it is
        for line in lines:
            try:
                name, stamp, sha256 = json.loads(line)
            except (TypeError, ValueError):
                continue
            if CONTENT_NAME.fullmatch(str(name)) is None:
                continue
            known[str(name)] = (str(stamp), str(sha256))
    return known


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
