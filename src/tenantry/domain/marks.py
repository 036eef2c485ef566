"""The marks of an answer, `[2]` or `[1, 3]`, by which a model cites passages; and what looks so.

    argv[1]            as a passage has it: quoted, no mark
    `rows[2]`          within backticks, in a line or in a fence: code, no mark
    print(a[1], b[2])  right behind a word in the brackets of a call: code, no mark
    rows[2] = 5        right behind an ASCII word where no clause ends: cited, and left where it is
    That is known[2].  a mark, and taken out; so is every other

A model may well write `days[2] and` and mean a passage. A number too many in a text does less harm
than code without its subscripts, so what may be either is cited and stays. Works on text as it
comes, however it is cut.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

_AND: Final = ",;,；，、،؛"  # between the numbers of one mark, in any script
_NUMBERS: Final = rf"\d{{1,3}}(?:\s{{0,2}}[{_AND}]\s{{0,2}}\d{{1,3}}){{0,9}}"  # of [1] or [1, 2]
_MARK: Final = re.compile(rf"[ \t]{{0,16}}\[({_NUMBERS})\]")
_MORE: Final = re.compile(rf"(?:\[{_NUMBERS}\]){{0,9}}")  # right behind another
BEFORE_CHARS_MAX: Final = 64  # of what is known of the text before a mark
_WORD: Final = re.compile(rf"\w{{1,{BEFORE_CHARS_MAX}}}\Z")
_QUOTED: Final = re.compile(rf"(\w{{1,{BEFORE_CHARS_MAX}}})(\[{_NUMBERS}\])")
_OPENED: Final = re.compile(rf"\[[\d\s{_AND}]{{0,64}}\Z")
_UNDECIDED: Final = re.compile(rf"[ \t]{{0,16}}(?:{_OPENED.pattern})?\Z")  # may become a mark
_CLOSING: Final = re.compile(
    r"[.,;:!?…\"'”’»)*_]{0,4}"
)  # what may stand behind a clause's last word
_CODE_PIECES: Final = re.compile(r"`+|\n|[^`\n]+")
_FENCE_MIN: Final = 3

Numbers = tuple[int, ...]


def numbers_quoted_in(texts: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Each word of the texts that has numbers in brackets right behind it, with them."""
    return frozenset((word, mark) for text in texts for word, mark, *_ in _QUOTED.findall(text))


class Marks:
    """Of one answer; `count` passages were given, numbered from 1, and `quoted` stands in them.

    `feed` and `finish` return what is decided: text to show, and numbers that are cited for the
    text before them. Numbers that were not given stay in the text.
    """

    def __init__(self, count: int, quoted: Collection[tuple[str, str]] = ()) -> None:
        self._count = count
        self._quoted = quoted
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
        for mark in _MARK.finditer(held):
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
            glued = mark[0][0] == "[" and not (self._after_mark and start == done)
            if self._is_text(before, mark[0], glued):
                continue
            if glued and _is_like_code(before):
                end = _end_of(_MORE, held, end)
                ends = _clause_ends(held, end, last=last)
                if ends is None:
                    self._say(held[done:start], out)
                    self._held = held[start:]
                    return out
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

    def _given(self, marks: str) -> Numbers:
        """Their numbers, without those that were not given."""
        numbers = (int(digits) for digits in re.findall(r"\d+", marks))
        return tuple(number for number in numbers if 1 <= number <= self._count)

    def _is_text(self, before: str, mark: str, glued: bool) -> bool:
        word = _WORD.search(before)
        if word is not None and (word[0], mark) in self._quoted:
            return True
        return self._code.inside or (glued and _is_in_call(before))

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
    word = _WORD.search(before)
    if word is None:
        return before[-1:] in (")", "]")
    return word[0].isascii() and not word[0].isdigit()


def _is_name(before: str) -> bool:
    """Whether the word is one that prose hardly has: `x`, `row_ids`."""
    word = _WORD.search(before)
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
        return closed > at and _MARK.match(text, closed) is not None
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
