"""A file of the log as records: JSON lines, gzipped or not."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

FILE_BYTES_MAX = 256 * 1024 * 1024  # unpacked; Bedrock writes files of a few MB
_GZIP = b"\x1f\x8b"


def records_of(path: Path) -> tuple[list[Mapping[str, Any]], int]:
    """The records, and how many lines were none; a file that is cut short counts as one of them.

    Raises `OSError` where the file cannot be read now.
    """
    records: list[Mapping[str, Any]] = []
    skipped, left = 0, FILE_BYTES_MAX
    try:
        with _opened(path) as lines:
            while left > 0 and (line := lines.readline(left)):
                left -= len(line)
                record = _record(line)
                if record is None:
                    skipped += 1
                else:
                    records.append(record)
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError):
        skipped += 1
    return records, skipped


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    if packed:
        return gzip.open(path, "rt", encoding="utf-8", errors="strict")
    return path.open(encoding="utf-8", errors="strict")


def _record(line: str) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
