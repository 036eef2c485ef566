"""Files that appear whole or not at all, and are read again by a later start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path


class DamagedFileError(ValueError):
    """A file of the data folder is not as it was left; the message names it."""


@contextmanager
def reading_again(path: Path, line: int | None = None) -> Iterator[None]:
    """`line`: of a file that has a record in each, counted from 1."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if line is None:
            raise DamagedFileError(f"{path} is damaged: {error}") from error
        why = error.msg if isinstance(error, JSONDecodeError) else error
        raise DamagedFileError(
            f"{path} is damaged in line {line}: {why}; take that line out, and what it recorded"
            " counts no more"
        ) from error


def append_whole(file: int, content: bytes) -> None:
    """To a file opened to append, whose one writer we are. Raises OSError where a full disk takes a
    part of it alone; that is taken back, so that nothing later joins it."""
    end = os.fstat(file).st_size
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError:
        os.ftruncate(file, end)
        raise


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Writes beside `path`, syncs, renames into place and syncs the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
