"""An answer without its numbers: `[2]` is taken out of the text and said beside it.

Models are asked to cite passages by number. Bedrock's wire of knowledge bases wants the text alone,
and for each part of it the passages that it rests on. What is a mark, `domain/marks.py` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenantry.domain.chunk import Passage
from tenantry.domain.marks import Marks
from tenantry.domain.quoted_marks import Numbers, QuotedMarks

# What ends the sentence before, where its mark stood before the stop.
_BETWEEN = " \t\r\n.,;:!?…\u3000。、，．；：！？،؛؟۔।॥"
_SAID = re.compile(rf"[^\s{re.escape(_BETWEEN)}]")


@dataclass(frozen=True, slots=True)
class Cited:
    """A part of the answer, `text[start:end]` in code points, and the numbers cited for it."""

    start: int
    end: int
    text: str
    numbers: tuple[int, ...]


class Citing:
    """Of one answer; `count` passages were given, numbered from 1, and have `quoted` themselves.

    `feed` and `finish` return what is decided: text to show, and parts that are cited. A part goes
    from the one before to its mark, and is told once more is said than what ends a sentence: other
    marks for it may stand behind that. Numbers that were not given stay in the text.
    """

    def __init__(self, count: int, quoted: QuotedMarks | None = None) -> None:
        self._marks = Marks(count, quoted)
        self._part: list[str] = []  # the text since the last part
        self._said = False  # whether that is more than what ends a sentence
        self._start = 0
        self._numbers: list[int] = []  # of marks that stand after the part
        self._ahead: list[int] = []  # of marks before it
        self._between: list[str] = []  # what stands behind a part that is cited
        self._later: list[int] = []  # of marks in that
        self._below = False  # whether they stand in a line below
        self._apart: bool | None = None  # whether the last of them is followed by a blank

    def feed(self, text: str) -> list[str | Cited]:
        return self._told(self._marks.feed(text))

    def finish(self) -> list[str | Cited]:
        out = self._told(self._marks.finish())
        self._numbers += self._later
        self._cite(out, last=True)
        return out

    def _told(self, pieces: Iterable[str | Numbers]) -> list[str | Cited]:
        out: list[str | Cited] = []
        for piece in pieces:
            if isinstance(piece, str):
                self._text(piece, out)
            elif self._between:
                if not self._later:
                    self._below = any("\n" in text for text in self._between)
                self._later += piece
                self._apart = None
            else:
                numbers = self._numbers if self._said else self._ahead
                numbers += piece
        return out

    def _text(self, piece: str, out: list[str | Cited]) -> None:
        says = _SAID.search(piece) is not None
        if not self._numbers:
            self._part.append(piece)
            self._said = self._said or says
        else:
            if self._later and self._apart is None:
                self._apart = piece[0].isspace()
            self._between.append(piece)
            if says:
                self._cite(out)
                self._said = True
        out.append(piece)

    def _cite(self, out: list[str | Cited], *, last: bool = False) -> None:
        """Ends a part where it was cited; a mark with nothing before it waits for what follows."""
        if not self._said or (not self._numbers and not (last and self._ahead)):
            return
        ahead = [] if last else self._taken_ahead()
        said = "".join(self._part)
        text = said.lstrip(_BETWEEN).rstrip()
        start = self._start + len(said) - len(said.lstrip(_BETWEEN))
        numbers = tuple(dict.fromkeys([*self._ahead, *self._numbers]))
        out.append(Cited(start, start + len(text), text, numbers))
        self._start += len(said)
        self._part, self._between = self._between, []
        self._said = False
        self._numbers, self._ahead, self._later = [], ahead, []
        self._below, self._apart = False, None

    def _taken_ahead(self) -> list[int]:
        """Of marks behind what ends the part: those of the next, which begins right behind them or
        is below with them. The others are of the part."""
        if self._below or not self._apart:
            return self._later
        self._numbers += self._later
        return []


def citing_of(passages: Sequence[Passage]) -> Citing:
    """An answer that was made of these passages."""
    return Citing(len(passages), QuotedMarks(passage.text for passage in passages))
