"""Text in one form. Unicode writes many letters in two ways: `é` is one character, or `e` and an
accent. Both are the same (canonical equivalence); NFC is the form that texts are compared in.
"""

from __future__ import annotations

from typing import Final
from unicodedata import normalize

_DECOMPOSED_MAX: Final = 4  # characters that one may be written as


def in_nfc(text: str) -> str:
    return text if text.isascii() else normalize("NFC", text)


def given_in_nfc(text: str, chars_max: int) -> str:
    """Of a client's; one that is longer than `chars_max` in any form stays as it is."""
    return text if len(text) > chars_max * _DECOMPOSED_MAX else in_nfc(text)
