"""What a reader takes for the opening of a fence, in whatever letters and signs it is written.

One pattern, of characters that are known before any text is read: a text is looked at once, and no
part of it costs a call. Letters have their forms from Unicode: bold, full-width, in circles, with
accents. Letters of other scripts are none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from unicodedata import decomposition, normalize

# The sign, also in its full-width and small forms, which a lenient reader takes for it.
LESS_THAN: Final = "<＜﹤‹"
# And those that it takes for one before the name of a fence alone: titles have them as quotes.
_SIGNS = LESS_THAN + "≮❮❬❰\u2329\u3008⟨˂ᐸ"
_SLASHES = "⁄∕⧸╱／"
# Control characters, what else Unicode has drawn as nothing, and a pattern of Braille without dots.
_NONE = (
    r"\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ACCENTS = r"\u0300-\u036f\u20d0-\u20ff"
# Where Unicode has characters that are forms of others, but for ideographs and Hangul.
_BLOCKS = (
    range(0x80, 0x3400),
    range(0xA640, 0xAB70),
    range(0xFB00, 0x10000),
    range(0x10780, 0x107C0),
    range(0x1CC00, 0x1CD00),
    range(0x1D400, 0x1D800),
    range(0x1F100, 0x1F300),
)
_IS_ACCENT = re.compile(f"[{_ACCENTS}]")
_IS_WORD = re.compile(r"\w")


class _Forms:
    """The characters that are a form of others, by those in small letters, as parts of a class."""

    def __init__(self) -> None:
        self.plain: dict[str, str] = {}
        self.accented: dict[str, str] = {"i": "ı"}  # no form to Unicode; and the plain ones
        self.between = ""  # of spaces and accents
        self.word = ""  # of what is part of a word, though they are not
        self.no_word = ""  # the reverse
        for character in _with_forms():
            form = normalize("NFKC", character)
            bare = _IS_ACCENT.sub("", normalize("NFKD", character))
            _add(self.plain, form.lower(), character)
            _add(self.accented, bare.lower(), character)
            self.between += "" if bare.strip() else character
            if (is_word := _is_word(form)) != _is_word(character):
                self.word += character if is_word else ""
                self.no_word += "" if is_word else character


def _with_forms() -> Iterator[str]:
    for block in _BLOCKS:
        yield from filter(decomposition, map(chr, block))


def _add(forms: dict[str, str], form: str, character: str) -> None:
    forms[form] = forms.get(form, "") + character


def _is_word(text: str) -> bool:
    return _IS_WORD.match(text) is not None


def _letter(letter: str, forms: Mapping[str, str]) -> str:
    return f"[{letter}{letter.upper()}{forms.get(letter, '')}]"


def _beginning(letters: str, forms: _Forms) -> str:
    """Of a name: each letter with what is not seen, and accents, behind it."""
    unseen = rf"[{_ACCENTS}{_NONE}]*+"
    written, place = "", 0
    while place < len(letters):
        letter = _letter(letters[place], forms.accented)
        pair = letters[place : place + 2]
        both = forms.accented.get(pair) if len(pair) == 2 else None
        if both is None:
            written += letter + unseen
            place += 1
        else:
            second = _letter(pair[1], forms.accented)
            written += f"(?:{letter}{unseen}{second}|[{both}]){unseen}"
            place += 2
    return written


def _opening(forms: _Forms) -> re.Pattern[str]:
    # Nothing in here goes beyond the next sign, nor is given back: hence one pass.
    between = rf"[\s/{_SLASHES}{_ACCENTS}{_NONE}{forms.between}]*+"
    # No accent of the last letter's own: that makes another word.
    e, n, s = (_letter(letter, forms.plain) for letter in "ens")
    end = rf"(?:(?![\w{forms.word}])|(?=[{_SIGNS}{_NONE}{forms.no_word}]))"
    passage = f"{_beginning('passag', forms)}(?:{_beginning('e', forms)}{s}{end}|{e}{end})"
    question = f"{_beginning('questio', forms)}{n}{end}"
    return re.compile(rf"[{_SIGNS}](?={between}(?:{passage}|{question}))")


# Its sign alone: what follows is looked at, and stays.
OPENING: Final = _opening(_Forms())
