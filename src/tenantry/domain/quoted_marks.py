"""Marks of notes that passages have themselves: `at 40 bar [2]`, as papers and Wikipedia have them.

An answer that quotes such a sentence has the number too, and cites nothing by it. So each number in
brackets is compared with the passages: behind the same words there, it is quoted. Words are what
is compared, in one form and without what stands between them, for models change stops, blanks and
emphasis, and leave out a note here and there.

    the words are another passage's, and its number   TEXT    quoted
    the cited passage has the words as well           EITHER  cited, and left where it is
    fewer words than three, and no whole sentence     MARK    the answer's own
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final
from unicodedata import normalize

AND: Final = ",;,；，、،؛"  # between the numbers of one mark, in any script
NUMBERS: Final = rf"\d{{1,3}}(?:\s{{0,2}}[{AND}]\s{{0,2}}\d{{1,3}}){{0,9}}"  # of [1] or [1, 2]
MARK: Final = re.compile(rf"[ \t]{{0,16}}(?:\[{NUMBERS}\]|［{NUMBERS}］|【{NUMBERS}】)")
_MARK_CHARS_MAX: Final = 100  # a mark has fewer
_MARK_AT_END: Final = re.compile(rf"(?:{MARK.pattern})\Z")
_BRACKET: Final = re.compile(r"[\[［【]")
BEFORE_CHARS_MAX: Final = 256  # that are compared before a mark
_AFTER_CHARS_MAX: Final = 64  # behind it
_WORDS_MAX: Final = 16  # that are compared
_HELD_MAX: Final = 128  # different places of one mark, of the best passages first
# Scripts without spaces, whose every character is a word here: Thai to Myanmar, Khmer, kana, Han.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_LONE: Final = re.compile(rf"[{_UNSPACED}]")
_WORD_WEIGHT: Final = 3  # of a word between spaces; a character of the other scripts weighs 1
_ENOUGH: Final = 3 * _WORD_WEIGHT  # to be a quotation; a whole sentence may be less
_TELLING_CHARS_MIN: Final = 4  # a shorter word stands anywhere
_SENTENCE_END: Final = re.compile(r"[.!?…][\"'”’»)*_]{0,4}\s|[。．！？।॥؟۔]|\n")
_STOPS: Final = " \t\r\n.,;:!?…\"'”’»)*_^。、，．；：！？،؛؟۔।॥"
_RIGHT_BEFORE: Final = re.compile(r"\w{1,64}\Z")
_BEGINS: Final = re.compile(r"[ \t\r\n]{0,16}(?=[^\W_])")
_UP_TO_BRACKET: Final = re.compile(rf"[^\[［【]{{0,{_AFTER_CHARS_MAX}}}")
_BLANK: Final = re.compile(r"\s{0,64}\Z")

Numbers = tuple[int, ...]
Words = tuple[str, ...]


class Reading(Enum):
    """What a number in brackets is."""

    MARK = "mark"
    EITHER = "either"
    TEXT = "text"


def numbers_of(mark: str) -> Numbers:
    return tuple(int(digits) for digits in re.findall(r"\d+", mark))


class QuotedMarks:
    """Of the passages that an answer is made of, in the order of their numbers, from 1."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._before: dict[Numbers, dict[Words, set[int]]] = {}  # and in which passages
        self._behind: dict[Numbers, set[Words]] = {}
        self._glued: set[tuple[str, Numbers]] = set()
        self._texts = list(texts)
        self._spoken: dict[int, str] = {}
        for number, text in enumerate(self._texts, start=1):
            if _BRACKET.search(text):
                self._read(number, text)

    def _read(self, number: int, text: str) -> None:
        """Keeps where its marks stand."""
        words: list[str] = []
        at = 0
        for mark in MARK.finditer(text):
            words += _words(text[at : mark.start()])
            at = mark.end()
            numbers = numbers_of(mark[0])
            held = self._before.setdefault(numbers, {})
            known = tuple(words[-_WORDS_MAX:])
            if len(held) == _HELD_MAX and known not in held:
                continue
            held.setdefault(known, set()).add(number)
            openings = self._behind.setdefault(numbers, set())
            if len(openings) < _HELD_MAX and _BEGINS.match(text, at):
                openings.add(tuple(_words(text[at : at + _AFTER_CHARS_MAX])))
            right_before = _RIGHT_BEFORE.search(text[max(0, mark.start() - 64) : mark.start()])
            if right_before is not None and mark[0][0] == "[":
                self._glued.add((right_before[0], numbers))

    def reading(self, before: str, mark: str, given: Sequence[int]) -> Reading:
        """Of a mark behind this text, the last `BEFORE_CHARS_MAX` of it; `given` are those of its
        numbers that passages have."""
        numbers = numbers_of(mark)
        held = self._before.get(numbers)
        if not held or _ends_with(before, numbers):
            return Reading.MARK
        words = _words(before)[-_WORDS_MAX:]
        alike = [(_alike(words, known), inside) for known, inside in held.items()]
        best = max(length for length, _ in alike)
        own = max((self._longest(words, number) for number in given), default=0)
        if not best or own > best:
            return Reading.MARK
        quoted = words[-best:]
        weight = _weight(quoted)
        short = weight < _ENOUGH
        if mark[0] == "[" and self._stands_so(before, numbers):
            return Reading.TEXT if short or own < best else Reading.EITHER
        sentence = _words(_sentence(before))[-_WORDS_MAX:]
        if short and (best < len(sentence) or not _says_something(quoted)):
            return Reading.MARK
        if own == best or (short and own):
            return Reading.EITHER
        owners = {number for length, inside in alike if length == best for number in inside}
        other = self._of_others(sentence[:-best], given, owners)
        return Reading.EITHER if 3 * other >= weight else Reading.TEXT

    def is_followed(self, mark: str, behind: str, *, last: bool) -> bool | None:
        """Whether the mark opens a passage's sentence that stands behind it here, in what is all
        there is if it is the `last`. None: the next piece will tell."""
        held = self._behind.get(numbers_of(mark))
        if not held:
            return False
        if _BLANK.match(behind):
            return False if last else None
        if not _BEGINS.match(behind):
            return False
        found = _UP_TO_BRACKET.match(behind)
        assert found is not None, "the pattern matches the empty text"
        words = _words(found[0])
        ended = last or found.end() < len(behind)
        if not ended and (found[0][-1].isalnum() or not found[0][-1].isascii()):
            words = words[:-1]  # it may go on
        for known in held:
            length = _alike(words[::-1], known[::-1])
            if _weight(words[:length]) >= _ENOUGH:
                return True
        if not ended and any(tuple(words) == known[: len(words)] for known in held):
            return None
        return False

    def _stands_so(self, before: str, numbers: Numbers) -> bool:
        """Right behind the same word of a passage, as subscripts of code do."""
        word = _RIGHT_BEFORE.search(before[-64:])
        return (
            word is not None
            and _LONE.match(word[0][-1]) is None
            and (word[0], numbers) in self._glued
        )

    def _longest(self, words: Sequence[str], number: int) -> int:
        """How many of the last words stand together in this passage."""
        text, tail, most = self._words_of(number), " ", 0
        for word in reversed(words):
            tail = f" {word}{tail}"
            if tail not in text:
                break
            most += 1
        return most

    def _words_of(self, number: int) -> str:
        """A passage's words, a space around each."""
        if number not in self._spoken:
            text = self._texts[number - 1] if number <= len(self._texts) else ""
            self._spoken[number] = f" {' '.join(_words(text))} "
        return self._spoken[number]

    def _of_others(self, rest: Sequence[str], given: Sequence[int], owners: set[int]) -> int:
        """The weight of telling words that a cited passage has, and those quoted have not."""
        if not rest:
            return 0
        known = {word for number in owners for word in self._words_of(number).split()}
        cited = {word for number in given for word in self._words_of(number).split()}
        return _weight([word for word in (set(rest) & cited) - known if _is_telling(word)])


def _words(text: str) -> list[str]:
    bare = MARK.sub(" ", text) if _BRACKET.search(text) else text
    return _WORD.findall(normalize("NFKC", bare).casefold())


def _alike(words: Sequence[str], known: Sequence[str]) -> int:
    """How many last words are the same."""
    length = 0
    for one, other in zip(reversed(words), reversed(known), strict=False):
        if one != other:
            break
        length += 1
    return length


def _sentence(before: str) -> str:
    """The sentence that ends here, with what of stops stands at its end."""
    start = 0
    for end in _SENTENCE_END.finditer(MARK.sub(" ", before).rstrip(_STOPS)):
        start = end.end()
    return MARK.sub(" ", before)[start:]


def _ends_with(before: str, numbers: Numbers) -> bool:
    """Whether the same mark ends this already: a second one is the answer's own."""
    ended = _MARK_AT_END.search(before.rstrip(_STOPS)[-_MARK_CHARS_MAX:])
    return ended is not None and numbers_of(ended[0]) == numbers


def _weight(words: Iterable[str]) -> int:
    return sum(1 if _LONE.match(word) else _WORD_WEIGHT for word in words)


def _says_something(words: Sequence[str]) -> bool:
    """Whether a sentence of these alone may be a passage's: two words, or a number."""
    return _weight(words) >= 2 * _WORD_WEIGHT or any(map(_has_digit, words))


def _is_telling(word: str) -> bool:
    return not word.isascii() or len(word) >= _TELLING_CHARS_MIN or _has_digit(word)


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))
