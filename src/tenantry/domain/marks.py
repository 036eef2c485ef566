"""The marks of an answer, `[2]` or `[1, 3]`, by which a model cites passages; and what looks so.

    at 40 bar [2].     behind words that a passage has before the same number: quoted, no mark
    `rows[2]`          within backticks, in a line or in a fence: code, no mark
    print(a[1], b[2])  right behind a word in the brackets of a call: code, no mark
    rows[2] = 5        right behind an ASCII word where no clause ends: cited, and left where it is
    【2】概要            full-width before a word, or first in its line: a heading, no mark
    That is known[2].  a mark, and taken out; so is every other

A model may well write `days[2] and` and mean a passage. A number too many in a text does less harm
than code without its subscripts, so what may be either is cited and stays. Works on text as it
comes, however it is cut. What is quoted, `domain/quoted_marks.py` says.
"""

from __future__ import annotations

import re
from typing import Final

from tenantry.domain.quoted_marks import (
    AND,
    BEFORE_CHARS_MAX,
    MARK,
    NUMBERS,
    Numbers,
    QuotedMarks,
    Reading,
    numbers_of,
)

_MORE: Final = re.compile(rf"(?:\[{NUMBERS}\]){{0,9}}")  # right behind another
_NEAR_CHARS_MAX: Final = 64  # of what is looked at before a mark to tell code
_WORD: Final = re.compile(rf"\w{{1,{_NEAR_CHARS_MAX}}}\Z")
_INNER_CHARS_MAX: Final = 80  # ten numbers take 75 at most
_OPENED: Final = re.compile(rf"[\[［【][\d\s{AND}]{{0,{_INNER_CHARS_MAX}}}\Z")
_UNDECIDED: Final = re.compile(rf"[ \t]{{0,16}}(?:{_OPENED.pattern})?\Z")  # may become a mark
_CLOSING: Final = re.compile(
    r"[.,;:!?…\"'”’»)*_]{0,4}"
)  # what may stand behind a clause's last word
_CODE_PIECES: Final = re.compile(r"`+|\n|[^`\n]+")
_FENCE_MIN: Final = 3


class Marks:
    """Of one answer; `count` passages were given, numbered from 1, and have `quoted` themselves.

    `feed` and `finish` return what is decided: text to show, and numbers that are cited for the
    text before them. Numbers that were not given stay in the text.
    """

    def __init__(self, count: int, quoted: QuotedMarks | None = None) -> None:
        self._count = count
        self._quoted = QuotedMarks() if quoted is None else quoted
        self._code = _Code()
        self._before = ""  # the end of what is said
        self._after_mark = False  # that was taken out, and nothing was said since
        self._held = ""

    def feed(self, text: str) -> list[str | Numbers]:
        return self._take(self._held + text, last=False)

    def finish(self) -> list[str | Numbers]:
        return self._take(self._held, last=True)

    def _take(self, held: str, *, last: bool) -> list[str | Numbers]:
        out: list[str | Numbers] = []
        done = looked = 0
        for mark in MARK.finditer(held):
            start, end = mark.span()
            if start < done:
                continue
            self._code.feed(held[looked:start])
            looked = start
            given = self._given(mark[0])
            if not given:
                continue
            # No slice grows with what is held: a long answer would take its square.
            since = held[max(done, start - BEFORE_CHARS_MAX) : start]
            before = (self._before + since)[-BEFORE_CHARS_MAX:]
            behind_other = self._after_mark and start == done
            reading = self._reading(before, mark[0], held[end : end + 65], behind_other, last=last)
            if reading is None:
                return self._wait(held, done, start, out)
            if reading is Reading.TEXT:
                continue
            if reading is Reading.EITHER:
                self._say(held[done:end], out)
                out.append(given)
                done = end
                continue
            if mark[0][0] == "[" and not behind_other and _is_like_code(before):
                end = _end_of(_MORE, held, end)
                ends = _clause_ends(held, end, last=last)
                if ends is None:
                    return self._wait(held, done, start, out)
                if not ends or _is_name(before):
                    self._say(held[done:end], out)
                    out.append(self._given(held[start:end]))
                    done = end
                    continue
                end = mark.end()
            self._say(held[done:start], out)
            out.append(given)
            self._after_mark = True
            done = end
        undecided = _UNDECIDED.search(held, done)
        assert undecided is not None, "the pattern matches the empty end"
        end = len(held) if last else undecided.start()
        self._code.feed(held[looked:end])
        self._say(held[done:end], out)
        self._held = held[end:]
        return out

    def _wait(
        self, held: str, done: int, start: int, out: list[str | Numbers]
    ) -> list[str | Numbers]:
        """The next piece will tell what stands at `start`."""
        self._say(held[done:start], out)
        self._held = held[start:]
        return out

    def _given(self, marks: str) -> Numbers:
        """Their numbers, without those that were not given."""
        return tuple(number for number in numbers_of(marks) if 1 <= number <= self._count)

    def _reading(
        self, before: str, mark: str, behind: str, behind_other: bool, *, last: bool
    ) -> Reading | None:
        """None: the next piece will tell. `behind_other`: right behind one that was taken out,
        which nobody but the model wrote, and so no note of a passage's."""
        if self._code.inside:
            return Reading.TEXT
        if mark[0] == "[" and not behind_other and _is_in_call(before[-_NEAR_CHARS_MAX:]):
            return Reading.TEXT
        opens = not before[-_NEAR_CHARS_MAX:].rpartition("\n")[2].strip()
        if mark[-1] != "]":  # full-width
            if not behind and not last:
                return None
            if (opens and not behind_other) or behind[:1].isalnum():
                return Reading.TEXT
        reading = Reading.MARK
        if not behind_other:
            reading = self._quoted.reading(before, mark, self._given(mark))
        if reading is Reading.MARK and (opens or behind_other):
            followed = self._quoted.is_followed(mark, behind, last=last)
            if followed is None:
                return None
            return Reading.TEXT if followed else reading
        return reading

    def _say(self, text: str, out: list[str | Numbers]) -> None:
        if not text:
            return
        self._before = (self._before + text)[-BEFORE_CHARS_MAX:]
        self._after_mark = False
        out.append(text)


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    assert found is not None, "the pattern matches the empty text"
    return found.end()


def _is_like_code(before: str) -> bool:
    """Whether what stands right behind this may be a subscript: of an ASCII word that is no
    number, or of what a bracket closes."""
    word = _WORD.search(before[-_NEAR_CHARS_MAX:])
    if word is None:
        return before[-1:] in (")", "]")
    return word[0].isascii() and not word[0].isdigit()


def _is_name(before: str) -> bool:
    """Whether the word is one that prose hardly has: `x`, `row_ids`."""
    word = _WORD.search(before[-_NEAR_CHARS_MAX:])
    if word is None:
        return False
    return "_" in word[0].strip("_") or (len(word[0]) == 1 and word[0].islower())


def _is_in_call(before: str) -> bool:
    """Whether the innermost bracket that is open stands right behind an ASCII word."""
    closed = 0
    for at in range(len(before) - 1, 0, -1):
        if before[at] == ")":
            closed += 1
        elif before[at] == "(" and closed:
            closed -= 1
        elif before[at] == "(":
            return before[at - 1].isascii() and (before[at - 1].isalnum() or before[at - 1] == "_")
    return False


def _clause_ends(text: str, at: int, *, last: bool) -> bool | None:
    """Whether a clause ends there, in what is all there is if it is the `last`. None: the next
    piece will tell."""
    closed = _end_of(_CLOSING, text, at)
    following = text[closed : closed + 1]
    if not following:
        return True if last else None
    if following == "[":
        if not last and _OPENED.match(text, closed):
            return None
        return closed > at and MARK.match(text, closed) is not None
    if not following.isascii():
        return True
    return following.isspace() if closed > at else following in "\r\n"


class _Code:
    """Whether the text so far ends within backticks, as Markdown has them.

    A span ends with its line at the latest, so that a backtick alone hides no mark further down.
    """

    def __init__(self) -> None:
        self._open = 0  # backticks that opened what is open
        self._fence = False
        self._opened_here = False  # in this line
        self._run = 0  # backticks at the end of the text
        self._at_start = True  # nothing but white space before in this line

    @property
    def inside(self) -> bool:
        self._end_run()
        return self._open > 0

    def feed(self, text: str) -> None:
        for piece in _CODE_PIECES.findall(text):
            if piece[0] == "`":
                self._run += len(piece)
                continue
            self._end_run()
            if piece == "\n":
                self._at_start, self._opened_here = True, False
                self._open = self._open if self._fence else 0
            elif not piece.isspace():
                self._at_start = False

    def _end_run(self) -> None:
        run, self._run = self._run, 0
        if not run:
            return
        if not self._open:
            self._open, self._opened_here = run, True
            self._fence = run >= _FENCE_MIN and self._at_start
        elif self._fence and not self._opened_here:
            if self._at_start and run >= self._open:
                self._open = 0
        elif run == self._open:
            self._open = 0
        self._at_start = False
