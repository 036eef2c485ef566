"""A standard output that is lost: closed, full, or read by nobody any more.

Invariant: what was not written is never taken for done. A reader that has gone, as of `| head`,
is told nothing, as by other tools.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# What a shell says of a tool that wrote to a pipe without a reader.
READER_GONE: Final = 128 + signal.SIGPIPE
_DESCRIPTOR: Final = 1


def is_closed() -> bool:
    """Whether there never was one, as after `>&-`: Python then writes nothing, and says nothing."""
    return sys.stdout is None


def open_nowhere() -> None:
    """A standard output that nobody reads, for what stays up without one: no file or connection
    that is opened later gets its place, nor those of the other two."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            assert opened == descriptor, "those below are open"
            os.set_inheritable(descriptor, True)
    sys.stdout = os.fdopen(_DESCRIPTOR, "w", encoding="utf-8", closefd=False)


class Unwritten(OSError):
    """Standard output took no more, and no file did. Of a reader that has gone `Broken` tells."""


class _StandardOutput(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise Unwritten(error.errno, error.strerror) from None


def watch() -> None:
    """From now on a write to standard output that fails raises `Unwritten`."""
    was = sys.stdout
    if was is not sys.__stdout__ or not isinstance(was, io.TextIOWrapper):
        return  # a program catches what is printed
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_StandardOutput(_DESCRIPTOR, "w", closefd=False)),
        encoding=was.encoding,
        errors=was.errors,
        line_buffering=was.line_buffering or was.write_through,
    )


class Broken(Exception):
    """A pipe or connection broke while a command ran: `__cause__`. Click would end it in silence,
    whichever it was."""


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Raises `Broken` for an error that click would end the command for."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        raise Broken from error


def reader_is_gone() -> bool:
    """Whether it was standard output that broke, and no connection of the command's."""
    poll = select.poll()
    poll.register(_DESCRIPTOR, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def flushed() -> OSError | None:
    """What is still in memory is written; else why it cannot be, and it is forgotten."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as lost:
        forget()
        return lost
    return None


def forget() -> None:
    """So that Python does not try again as it ends, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _DESCRIPTOR)
    os.close(nowhere)
