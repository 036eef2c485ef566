"""What the client of an outside service says when it fails, cut down to what a person reads."""

from __future__ import annotations

import re
from typing import Final

CHARS_MAX: Final = 300
_URL: Final = re.compile(r"https?://[^ ]+")


def first_words(problem: BaseException) -> str:
    """Its first line, without a URL: one may carry a signature, and says what was asked for."""
    first = str(problem).partition("\n")[0].strip() or type(problem).__name__
    return _URL.sub("…", first)[:CHARS_MAX]
