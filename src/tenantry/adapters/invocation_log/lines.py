"""A file of the log as records: JSON lines, gzipped or not."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import orjson

FILE_BYTES_MAX = 256 * 1024 * 1024  # unpacked; Bedrock writes files of a few MB
_GZIP = b"\x1f\x8b"
_PACKED = ".gz"


class LineReader:
    """Reads files, and remembers what it passed over."""

    def __init__(self) -> None:
        self.skipped_lines = 0  # of files that can be read
        self.unreadable_files: list[str] = []

    def read(self, path: Path, name: str) -> list[Mapping[str, Any]]:
        """The records of a file. One that is cut short, or longer than FILE_BYTES_MAX, gives what
        is whole and is unreadable; so is one in which no line is a record.

        Raises `OSError` where the file cannot be read now.
        """
        records: list[Mapping[str, Any]] = []
        skipped, left, whole = 0, FILE_BYTES_MAX, False
        try:
            with _opened(path) as lines:
                while left > 0 and (line := lines.readline(left)):
                    left -= len(line)
                    record = _record(line)
                    if record is None:
                        skipped += 1
                    else:
                        records.append(record)
                whole = not lines.read(1)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            pass
        if not whole or (skipped and not records) or _is_cut_to_nothing(path):
            self.unreadable_files.append(name)
        else:
            self.skipped_lines += skipped
        return records


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return io.BufferedReader(gzip.GzipFile(path)) if packed else path.open("rb")


def _is_cut_to_nothing(path: Path) -> bool:
    return path.suffix == _PACKED and not path.stat().st_size


def _record(line: bytes) -> Mapping[str, Any] | None:
    try:
        record = orjson.loads(line)
    except ValueError:
        record = _of_what_a_client_sent(line)
    return record if isinstance(record, dict) else None


def _of_what_a_client_sent(line: bytes) -> object:
    """A body may hold half of a surrogate pair, which is escaped JSON and no Unicode; or be nested
    so deep that nobody reads it."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is the former
        return None
