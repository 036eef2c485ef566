"""A file of the log as records: JSON lines, gzipped or not."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from tenantry.ports.invocation_log import LogFile

FILE_BYTES_MAX = 256 * 1024 * 1024  # unpacked; Bedrock writes files of a few MB
_GZIP = b"\x1f\x8b"
_PACKED = ".gz"


class LineReader:
    """Reads files, and remembers what it passed over."""

    def __init__(self) -> None:
        self.skipped_lines = 0  # of files that can be read
        self._unreadable: dict[str, None] = {}  # by name, each once

    @property
    def unreadable_files(self) -> list[str]:
        return list(self._unreadable)

    def read(self, path: Path, name: str) -> LogFile:
        """The records of a file. One that is cut short, or longer than FILE_BYTES_MAX, gives what
        is whole and is unreadable; so is one in which no line is a record.

        Raises `OSError` where the file cannot be read now.
        """
        records: list[Mapping[str, Any]] = []
        skipped, left, whole, line = 0, FILE_BYTES_MAX, False, b"\n"
        packed = _is_packed(path)
        why = "no line of it is a record"
        try:
            with io.BufferedReader(gzip.GzipFile(path)) if packed else path.open("rb") as lines:
                while left > 0 and (read := lines.readline(left)):
                    line = read
                    left -= len(line)
                    record = _record(line)
                    if record is None:
                        skipped += 1
                    else:
                        records.append(record)
                if lines.read(1):
                    why = f"it is longer than {FILE_BYTES_MAX:,} bytes"
                else:
                    whole = not skipped or bool(records)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            why = "it is cut short, or no gzip"
        if whole and (_is_cut_to_nothing(path) or (not packed and _is_half(line))):
            whole, why = False, "it is cut short"
        if not whole:
            self._unreadable[name] = None
            return LogFile(records, unread=why)
        self._unreadable.pop(name, None)
        self.skipped_lines += skipped
        return LogFile(records, skipped)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _is_cut_to_nothing(path: Path) -> bool:
    return path.suffix == _PACKED and not path.stat().st_size


def _is_half(last: bytes) -> bool:
    """Whether a file that nothing but its end vouches for is still being written."""
    return not last.endswith(b"\n") and _parsed(last) is None


def _record(line: bytes) -> Mapping[str, Any] | None:
    record = _parsed(line)
    return record if isinstance(record, dict) else None


def _parsed(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except ValueError:
        return _of_what_a_client_sent(line)


def _of_what_a_client_sent(line: bytes) -> object:
    """A body may hold half of a surrogate pair, which is escaped JSON and no Unicode; or be nested
    so deep that nobody reads it."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is the former
        return None
