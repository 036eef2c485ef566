"""Text of others as it may stand on paper: every character shown, none obeyed.

A control character, a switch of writing direction and half a surrogate pair have no picture, and
some change how the text around them reads; they are written out as `[U+202E]`.
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # scripts that join letters need them


def printable(text: str, chars_max: int) -> str:
    """At most `chars_max` characters of a text, on one line, with what has no picture spelt."""
    cut = text if len(text) <= chars_max else text[: chars_max - 1] + "…"
    return "".join(map(_shown, cut.replace("\r\n", " ")))


def spelt(character: str) -> str:
    """`[U+0000]`: a character that cannot be drawn, named."""
    return f"[U+{ord(character):04X}]"


def _shown(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return spelt(character)
