"""UTF-8 in every locale: arguments, names of files, variables, and what is printed.

Python reads arguments and variables, and opens files, in the locale's encoding. Names and texts
here are UTF-8 wherever they come from, so in another locale the process begins again in Python's
UTF-8 mode, which its own processes inherit.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

_MODE = "PYTHONUTF8"


def in_utf8() -> None:
    """Make this process one of UTF-8: may not return, and begin it again."""
    if sys.getfilesystemencoding() != "utf-8" and _is_ours():
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        again = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.putenv(_MODE, "1")
        os.execv(sys.executable, again)  # noqa: S606 - ourselves
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not where a program catches what is printed
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def arguments() -> list[str]:
    """Those of the command line. Raises `click.UsageError` for what is not UTF-8."""
    return [_decoded(argument) for argument in sys.argv[1:]]


def _is_ours() -> bool:
    """Whether the process can be begun again with the same arguments."""
    given: Sequence[str] = sys.argv[1:]
    began = sys.orig_argv[len(sys.orig_argv) - len(given) :]
    return bool(sys.executable) and not sys.flags.utf8_mode and began == given


def _decoded(argument: str) -> str:
    raw = os.fsencode(argument)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        shown = raw.decode("utf-8", "backslashreplace")
        raise click.UsageError(f"an argument is not UTF-8: {shown}") from None
