"""Which way a text runs, and how words that run the other way stay guests in it.

In a sentence from left to right a number after a Hebrew word would be drawn before it, as part of
what runs from right to left: `VAT ABC 8.1 %` would show the rate within the name. Such words are
put between isolates (UAX #9, 2.6), after which nothing outside of them moves.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_ISOLATE, _END = "\u2068", "\u2069"
_RIGHT: Final = frozenset({"R", "AL"})


def is_from_right(text: str) -> bool:
    """By its first character that has a direction: UAX #9, P2 and P3; isolates are spelt out."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def apart(text: str) -> str:
    """A text from left to right with each stretch of words from the right between isolates.

    A stretch ends with its last letter. One that runs from the right as a whole stays as it is.
    """
    if text.isascii() or is_from_right(text):
        return text
    pieces: list[str] = []
    begin = end = at = 0  # a stretch so far, none where both are equal; what is taken already
    for index, character in enumerate(text):
        direction = unicodedata.bidirectional(character)
        if direction in _RIGHT:
            begin, end = (begin if end > begin else index), index + 1
        elif direction == "NSM" and end == index and end > begin:
            end = index + 1  # a mark of the letter before it
        elif direction == "L" and end > begin:
            pieces += (text[at:begin], _ISOLATE, text[begin:end], _END)
            at = begin = end
    if end > begin:
        pieces += (text[at:begin], _ISOLATE, text[begin:end], _END)
        at = end
    return "".join((*pieces, text[at:]))
