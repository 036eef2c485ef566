"""Text of others as it may stand on a line: every character shown, none obeyed.

A control character, a switch of writing direction and half a surrogate pair have no picture, and
some change how the text around them reads; they are written out as `[U+202E]`. What ordinary text
is made of stays: joiners and marks of direction, which embed and override nothing, and characters
that are newer than our tables, such as the emoji of next year.
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_KEPT = "\u200c\u200d\u200e\u200f\u061c"  # joiners, then marks of direction
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet takes for the beginning of one
_SOFT_HYPHEN = "\xad"  # where a word may be parted: no part of the word


def printable(text: str, chars_max: int) -> str:
    """At most `chars_max` characters of a text, on one line, with what has no picture spelt."""
    cut = text if len(text) <= chars_max else text[: chars_max - 1] + "…"
    return "".join(map(_shown, cut.replace("\r\n", " ").replace(_SOFT_HYPHEN, "")))


def in_cell(text: str) -> str:
    """A text as a cell of a file that spreadsheets open: on one line, all of it, and no formula."""
    shown = printable(text, max(len(text), 1))
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def is_name(text: str, chars_max: int) -> bool:
    """Whether it can name something: it says something, and stands on a line as it is."""
    seen = any(not character.isspace() and character not in _KEPT for character in text)
    return seen and len(text) <= chars_max and printable(text, chars_max) == text


def spelt(character: str) -> str:
    """`[U+0000]`: a character that cannot be drawn, named."""
    return f"[U+{ord(character):04X}]"


def _shown(character: str) -> str:
    if character in "\n\r\t":
        return " "
    category = unicodedata.category(character)
    if category not in _HIDDEN or character in _KEPT or _may_be_newer(character, category):
        return character
    return spelt(character)


def _may_be_newer(character: str, category: str) -> bool:
    """Unassigned, of the planes of letters and pictures; the last two of each plane never are."""
    number = ord(character)
    return category == "Cn" and 0xFFFF < number < 0xE0000 and number & 0xFFFE != 0xFFFE
