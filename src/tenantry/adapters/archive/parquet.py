"""`ports.archive.ArchiveFiles`: Parquet in a folder, `<month>/<n>/` with a manifest beside.

A number `n` is complete once its manifest is there. Decimals are text, as PostgreSQL writes them:
no type of Parquet holds each of them, and none of their digits may go. pyarrow is imported where a
file is written or read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

from tenantry.domain.archive import (
    COLUMNS,
    ArchiveBroken,
    ArchivedFile,
    Book,
    canonical,
)
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.extras import extra_of
from tenantry.ports.archive import MonthWriter, Row, SignedManifest
from tenantry.ports.objects import Files

MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 500_000_000
ROW_GROUP = 100_000
READ_ROWS = 10_000
_HASH_BYTES = 1 << 20


class ParquetArchive:
    def __init__(self, folder: Path, files: Files) -> None:
        self._folder = folder
        self._files = files

    def latest(self, month: date) -> str | None:
        numbers = [n for n in self._numbers(month) if (self._of(month, n) / MANIFEST).exists()]
        return f"{month:%Y-%m}/{max(numbers)}" if numbers else None

    def next_place(self, month: date) -> str:
        taken = self.latest(month)
        return f"{month:%Y-%m}/{int(taken.rpartition('/')[2]) + 1 if taken else 1}"

    @contextmanager
    def writing(self, place: str, book: Book, month: date) -> Iterator[MonthWriter]:
        path = self._folder / place / f"{book}.parquet"
        writer = _Writer(self._files, path, book, month)
        try:
            yield writer
        finally:
            writer.abandon()

    def put_manifest(self, place: str, manifest: SignedManifest) -> None:
        whole = {"manifest": manifest.content.decode(), "signature": manifest.signature.hex()}
        if not self._files.create(self._folder / place / MANIFEST, canonical(whole)):
            raise Unavailable(f"{place} was completed by somebody else; run it again.")

    def manifest(self, place: str) -> SignedManifest:
        path = self._folder / place / MANIFEST
        try:
            with path.open("rb") as file:
                told = json.loads(file.read(MANIFEST_BYTES_MAX))
            return SignedManifest(told["manifest"].encode(), bytes.fromhex(told["signature"]))
        except FileNotFoundError:
            raise NotFound(f"{path} is missing.") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ArchiveBroken(f"{path} cannot be read.") from None

    def check(self, place: str, file: ArchivedFile) -> None:
        path = self._path(place, file)
        digest = hashlib.sha256()
        try:
            with path.open("rb") as opened:
                while piece := opened.read(_HASH_BYTES):
                    digest.update(piece)
            size = path.stat().st_size
        except FileNotFoundError:
            raise ArchiveBroken(f"{path} is missing.") from None
        if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
            raise ArchiveBroken(f"{path} is not the file that was signed.")

    def rows(self, place: str, file: ArchivedFile) -> Iterator[Row]:
        _, parquet = _pyarrow()
        with parquet.ParquetFile(self._path(place, file)) as opened:
            for batch in opened.iter_batches(READ_ROWS):
                yield from batch.to_pylist()

    def _path(self, place: str, file: ArchivedFile) -> Path:
        if Path(file.name).name != file.name:
            raise ArchiveBroken(f"{place}: {file.name!r} is no name of a file.")
        return self._folder / place / file.name

    def _of(self, month: date, number: int) -> Path:
        return self._folder / f"{month:%Y-%m}" / str(number)

    def _numbers(self, month: date) -> list[int]:
        folder = self._folder / f"{month:%Y-%m}"
        if not folder.is_dir():
            return []
        return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]


class _Hashed:
    """A file to write to that knows its digest."""

    closed = False
    abandoned = False  # pyarrow writes the end of a file that nobody closed when it forgets it

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self.digest.update(piece)
        self.size += len(piece)
        if not self.abandoned:
            self._file.write(piece)
        return len(piece)

    def tell(self) -> int:
        return self.size

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file is closed by whoever opened it."""


class _Writer:
    def __init__(self, files: Files, path: Path, book: Book, month: date) -> None:
        arrow, parquet = _pyarrow()
        self._arrow = arrow
        self._path, self._book = path, book
        self._schema = _schema(arrow, book, month)
        self._stream = files.stream(path)
        self._hashed = _Hashed(self._stream.__enter__())
        self._parquet = parquet.ParquetWriter(
            self._hashed, self._schema, compression="zstd", version="2.6"
        )
        self._rows = 0
        self._open = True

    def write(self, rows: Sequence[Row]) -> None:
        table = self._arrow.Table.from_pylist([dict(row) for row in rows], self._schema)
        self._parquet.write_table(table, row_group_size=ROW_GROUP)
        self._rows += len(rows)

    def close(self) -> ArchivedFile:
        self._parquet.close()
        self._open = False
        self._stream.__exit__(None, None, None)
        hashed = self._hashed
        digest = hashed.digest.hexdigest()
        return ArchivedFile(self._book, self._path.name, self._rows, hashed.size, digest)

    def abandon(self) -> None:
        """Leaves nothing, unless it was closed."""
        if self._open:
            self._open = False
            self._hashed.abandoned = True
            self._stream.__exit__(_Abandoned, _Abandoned(), None)


class _Abandoned(Exception):
    """A file was begun and not completed."""


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise Unavailable(f"Archives need {extra_of('archive')}.") from None
    return pyarrow, pyarrow.parquet


def _schema(arrow: Any, book: Book, month: date) -> Any:
    types = {
        "text": arrow.string(),
        "integer": arrow.int64(),
        "boolean": arrow.bool_(),
        "instant": arrow.timestamp("us", tz="UTC"),
        "day": arrow.date32(),
        "decimal": arrow.string(),
        "texts": arrow.list_(arrow.string()),
        "integers": arrow.list_(arrow.int64()),
        "decimals": arrow.list_(arrow.string()),
    }
    about = {"tenantry.book": book, "tenantry.month": f"{month:%Y-%m}"}
    columns = COLUMNS[book].items()
    return arrow.schema([(name, types[kind]) for name, kind in columns], metadata=about)
