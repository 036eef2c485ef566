"""A file of the log as records: JSON lines, gzipped or not."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from tenantry.ports.invocation_log import LogFile

FILE_BYTES_MAX = 256 * 1024 * 1024  # unpacked; Bedrock writes files of a few MB
_GZIP = b"\x1f\x8b"
_PACKED = ".gz"


class LineReader:
    """Reads files, and remembers what it passed over."""

    def __init__(self) -> None:
        self.skipped_lines = 0  # of files that can be read
        self._unreadable: dict[str, None] = {}  # by name, each once, and what is no file

    @property
    def unreadable_files(self) -> list[str]:
        return list(self._unreadable)

    def read(self, path: Path, name: str) -> LogFile:
        """The records of a file. One that is cut short, or longer than FILE_BYTES_MAX, gives what
        is whole and is unreadable; so is one in which no line is a record, and one that the system
        does not let us read.
        """
        records: list[Mapping[str, Any]] = []
        skipped, left, whole, line = 0, FILE_BYTES_MAX, False, b"\n"
        packed = cut_to_nothing = False
        why = "no line of it is a record"
        try:
            with _opened(path) as file, _lines(file) as lines:
                packed = lines is not file
                cut_to_nothing = path.suffix == _PACKED and not os.fstat(file.fileno()).st_size
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
        except OSError as refused:
            why = refused.strerror or str(refused)
        if whole and (cut_to_nothing or (not packed and _is_half(line))):
            whole, why = False, "it is cut short"
        if not whole:
            self._unreadable[name] = None
            return LogFile(records, unread=why)
        self._unreadable.pop(name, None)
        self.skipped_lines += skipped
        return LogFile(records, skipped)


def _opened(path: Path) -> BinaryIO:
    """Waits for nobody: opening a pipe does, until somebody writes. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no regular file")
    return os.fdopen(descriptor, "rb")


def _lines(file: BinaryIO) -> BinaryIO:
    """Unpacked where it is packed; else the file itself."""
    packed = file.read(2) == _GZIP
    file.seek(0)
    return io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb")) if packed else file


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
