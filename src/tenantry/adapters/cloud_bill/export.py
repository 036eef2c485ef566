"""CUR 2.0 exports in CSV (gzipped or not) and Parquet.

Keys: `…/data/BILLING_PERIOD=YYYY-MM/<name>-00001.csv.gz`, or with a folder for each delivery below
the period where the export keeps old ones. Rows of a month are delivered again and again: each
delivery replaces the one before, so that only the newest is read. Files without a period in their
path are all read.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from tenantry.domain.bill import OPTIONAL, REQUIRED, BillError, BillLine, bill_line
from tenantry.domain.extras import extra_of
from tenantry.ports.record_files import RecordFiles

FILES_MAX: Final = 100_000
BATCH_ROWS: Final = 8_192  # of Parquet in memory
CELL_CHARS_MAX: Final = 1_000_000  # a map of tags, at most
_COLUMNS: Final = (*REQUIRED, *OPTIONAL)
_UNREADABLE: Final = (
    BillError, csv.Error, UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile,
)  # fmt: skip
_Row: TypeAlias = tuple[str, Mapping[str, Any]]  # with its place in the file
_DATA = re.compile(r"\.(?:csv|csv\.gz|parquet|snappy\.parquet)$", re.IGNORECASE)
_PERIOD = re.compile(r"(?:^|/)BILLING_PERIOD=(?P<month>[0-9]{4}-[0-9]{2})/(?P<rest>.*)$", re.ASCII)


class CurExport:
    def __init__(self, source: RecordFiles) -> None:
        self._source = source
        self.files = 0

    def lines(self, start: date, end: date) -> Iterator[BillLine]:
        for name in self._names(start, end):
            self.files += 1
            with self._source.local(name) as path:
                try:
                    is_parquet = name.lower().endswith("parquet")
                    for place, row in _parquet(path) if is_parquet else _csv(path):
                        yield _line(place, row)
                except _UNREADABLE as problem:
                    raise BillError(f"{name}: {problem}") from None

    def _names(self, start: date, end: date) -> list[str]:
        """Of each month the newest delivery's, of what has no month all, in order."""
        plain, by_month = list[str](), dict[str, dict[str, list[str]]]()
        for number, entry in enumerate(self._source.entries()):
            if number >= FILES_MAX:
                raise BillError(f"{self._source.where} has more than {FILES_MAX:,} files")
            if _DATA.search(entry.name) is None:
                continue
            found = _PERIOD.search(entry.name)
            if found is None:
                plain.append(entry.name)
            elif start.strftime("%Y-%m") <= found["month"] <= end.strftime("%Y-%m"):
                delivery = entry.name.rpartition("/")[0]
                by_month.setdefault(found["month"], {}).setdefault(delivery, []).append(entry.name)
        newest = [name for found in by_month.values() for name in found[max(found)]]
        if not plain and not newest:
            raise BillError(f"{self._source.where} has no file of a bill for these days")
        return plain + newest


def _line(place: str, row: Mapping[str, Any]) -> BillLine:
    try:
        return bill_line(row)
    except BillError as problem:
        raise BillError(f"{place}: {problem}") from None


def _csv(path: Path) -> Iterator[_Row]:
    csv.field_size_limit(CELL_CHARS_MAX)
    with _opened(path) as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        _check(header)
        places = [(name, header.index(name)) for name in _COLUMNS if name in header]
        for row in reader:
            line = f"line {reader.line_num}"
            if len(row) != len(header):
                raise BillError(f"{line}: {len(header)} cells are expected")
            yield line, {name: row[place] for name, place in places}


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _parquet(path: Path) -> Iterator[_Row]:
    """Needs the extra `archive`."""
    try:
        import pyarrow as arrow  # type: ignore[import-untyped]
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]
    except ImportError:
        raise BillError(f"Parquet needs {extra_of('archive')}") from None
    try:
        with parquet.ParquetFile(path) as file:
            present = file.schema_arrow.names
            _check(present)
            columns = [name for name in _COLUMNS if name in present]
            batches = file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
            for number, row in enumerate((row for b in batches for row in b.to_pylist()), start=1):
                yield f"row {number}", row
    except arrow.ArrowException as problem:
        raise BillError(str(problem)) from None


def _check(present: Sequence[str]) -> None:
    if missing := [name for name in REQUIRED if name not in present]:
        raise BillError(f"no column {', '.join(missing)}; is it an export of CUR 2.0?")
