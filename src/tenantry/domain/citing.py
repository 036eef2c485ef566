"""An answer without its numbers: `[2]` is taken out of the text and said beside it.

Models are asked to cite passages by number. Bedrock's wire of knowledge bases wants the text alone,
and for each part of it the passages that it rests on. Works on text as it comes, however it is cut.
What a passage itself has so, `argv[1]` or a footnote's number, is no mark where it is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_AND = ",;，；、،؛"  # between the numbers of one mark, in any script
NUMBERS = rf"\d{{1,3}}(?:\s{{0,2}}[{_AND}]\s{{0,2}}\d{{1,3}}){{0,9}}"  # of [1] or [1, 2]
_MARK = re.compile(rf"[ \t]{{0,16}}\[({NUMBERS})\]")
WORD_CHARS_MAX = 64  # of the word before a mark
_WORD = re.compile(rf"\w{{1,{WORD_CHARS_MAX}}}\Z")
_QUOTED = re.compile(rf"(\w{{1,{WORD_CHARS_MAX}}})(\[{NUMBERS}\])")
# What ends the sentence before, where its mark stood before the stop.
_BETWEEN = " \t\r\n.,;:!?…\u3000。、，．；：！？،؛؟۔।॥"
_UNDECIDED = re.compile(rf"[ \t]{{0,16}}(?:\[[\d\s{_AND}]{{0,64}})?\Z")  # what may become a mark


@dataclass(frozen=True, slots=True)
class Cited:
    """A part of the answer, `text[start:end]` in code points, and the numbers cited for it."""

    start: int
    end: int
    text: str
    numbers: tuple[int, ...]


def numbers_of(numbers: str) -> list[int]:
    """Those of one mark, as `NUMBERS` matches them."""
    return [int(digits) for digits in re.split(f"[{_AND}]", numbers)]


def numbers_quoted_in(texts: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Each word of the texts that has numbers in brackets right behind it, with them."""
    return frozenset((word, mark) for text in texts for word, mark, *_ in _QUOTED.findall(text))


def is_quoted(before: str, mark: str, quoted: Collection[tuple[str, str]]) -> bool:
    """Whether the mark stands right behind a word as it does in a passage."""
    word = _WORD.search(before[-WORD_CHARS_MAX:])
    return word is not None and (word[0], mark) in quoted


class Citing:
    """Of one answer; `count` passages were given, numbered from 1.

    `feed` and `finish` return what is decided: text to show, and parts that are cited. A part goes
    from the one before to its mark. Numbers that were not given stay in the text.
    """

    def __init__(self, count: int, quoted: Collection[tuple[str, str]] = ()) -> None:
        self._count = count
        self._quoted = quoted
        self._before = ""  # the end of what is said
        self._held = ""
        self._part: list[str] = []  # the text since the last part
        self._start = 0
        self._numbers: list[int] = []  # of marks that stand together after the part
        self._ahead: list[int] = []  # of marks before it

    def feed(self, text: str) -> list[str | Cited]:
        held = self._held + text
        out: list[str | Cited] = []
        done = 0
        for mark in _MARK.finditer(held):
            given = [number for number in numbers_of(mark[1]) if 1 <= number <= self._count]
            before = self._before + held[done : mark.start()]
            if not given or is_quoted(before, mark[0], self._quoted):
                continue
            self._say(held[done : mark.start()], out)
            said = "".join(self._part).strip(_BETWEEN)
            numbers_of_part = self._numbers if said else self._ahead
            numbers_of_part += given
            done = mark.end()
        undecided = _UNDECIDED.search(held, done)
        assert undecided is not None, "the pattern matches the empty end"
        self._say(held[done : undecided.start()], out)
        self._held = held[undecided.start() :]
        return out

    def finish(self) -> list[str | Cited]:
        out: list[str | Cited] = []
        self._say(self._held, out)
        self._held = ""
        self._cite(out, last=True)
        return out

    def _say(self, text: str, out: list[str | Cited]) -> None:
        if not text:
            return
        self._cite(out)
        self._part.append(text)
        self._before = (self._before + text)[-WORD_CHARS_MAX:]
        out.append(text)

    def _cite(self, out: list[str | Cited], *, last: bool = False) -> None:
        """Ends a part where it was cited; a mark with nothing before it waits for what follows."""
        if not self._numbers and not (last and self._ahead):
            return
        said = "".join(self._part)
        text = said.lstrip(_BETWEEN).rstrip()
        if not text:
            return
        start = self._start + len(said) - len(said.lstrip(_BETWEEN))
        numbers = tuple(dict.fromkeys([*self._ahead, *self._numbers]))
        out.append(Cited(start, start + len(text), text, numbers))
        self._start += len(said)
        self._part.clear()
        self._numbers.clear()
        self._ahead.clear()
