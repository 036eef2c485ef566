"""A fault of ours in a command: one line for whoever called it, and a file for whoever mends it.

The file is readable by its owner alone: words of tenants may be in a traceback's messages.
"""

from __future__ import annotations

import tempfile
import traceback
from typing import Final

MESSAGE_CHARS_MAX: Final = 300
PLACES: Final = 3  # the innermost, enough to tell one fault from another


def fault(failure: BaseException) -> str:
    """What a person is told of it, after its traceback was put into a file where one can be."""
    frames = traceback.extract_tb(failure.__traceback__)[-PLACES:]
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    message = " ".join(str(failure).split())[:MESSAGE_CHARS_MAX]
    kind = type(failure).__name__
    said = f"a fault of Tenantry: {kind}{f' ({message})' if message else ''} at {places}"
    kept = _kept(failure)
    return said if kept is None else f"{said}; its traceback, to report it with, is in {kept}"


def _kept(failure: BaseException) -> str | None:
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="tenantry-fault-", suffix=".txt", delete=False
        ) as file:
            traceback.print_exception(failure, file=file)
            return file.name
    except OSError:
        return None
