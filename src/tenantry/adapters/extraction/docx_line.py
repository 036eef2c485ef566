"""A line of a DOCX: its words as they are found, then with signs before what is raised in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from tenantry.adapters.extraction.raised import END_CHARS, FRACTION_SIGNS, sign_before_raised

RAISED, LOWERED = "superscript", "subscript"


@dataclass
class Line:
    """Words of a line, each with how it stands: `RAISED`, `LOWERED` or "".

    `boxes` are the text boxes that hang on it; `formulas` is in how many of them it stands.
    """

    boxes: list[Any] = field(default_factory=list)
    formulas: int = 0
    _words: list[tuple[str, str]] = field(default_factory=list)

    def add(self, text: str, stands: str) -> None:
        """What comes next in it."""
        if text:
            self._words.append((text, stands))

    def is_empty(self) -> bool:
        """Whether neither a word nor a box was found."""
        return not self._words and not self.boxes

    def end(self) -> str:
        """Its last character so far."""
        return self._words[-1][0][-1:] if self._words else ""

    def text(self) -> str:
        """Word cuts what is raised into as many runs as it likes: a sign is before the first."""
        parts = [
            ("".join(text for text, _ in words), stands)
            for stands, words in groupby(self._words, itemgetter(1))
        ]
        written: list[str] = []
        for place, (text, stands) in enumerate(parts):
            if stands == RAISED:
                divided = _is_divided(parts[place + 1 : place + 3])
                written.append(sign_before_raised(_end(written), text.strip(), divided=divided))
            written.append(text)
        return "".join(written)


def _end(written: list[str]) -> str:
    """The last few characters; signs that are empty stand among the words."""
    return "".join(text[-END_CHARS:] for text in written[-2 * END_CHARS :])[-END_CHARS:]


def _is_divided(following: list[tuple[str, str]]) -> bool:
    """Whether what comes makes it the upper half of a fraction."""
    if len(following) < 2:
        return False
    (sign, _), (_, below) = following
    return sign.strip() in FRACTION_SIGNS and below == LOWERED
