"""A standard output that is lost: closed, full, or read by nobody any more.

Invariant: what was not written is never taken for done. A reader that has gone, as of `| head`,
is told nothing, as by other tools.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import Final

# What a shell says of a tool that wrote to a pipe without a reader.
READER_GONE: Final = 128 + signal.SIGPIPE


def is_closed() -> bool:
    """Whether there never was one, as after `>&-`: Python then writes nothing, and says nothing."""
    return sys.stdout is None


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
    poll.register(_descriptor(), 0)
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
    os.dup2(nowhere, _descriptor())
    os.close(nowhere)


def _descriptor() -> int:
    assert sys.__stdout__ is not None, "whoever writes to it has it"
    return sys.__stdout__.fileno()
