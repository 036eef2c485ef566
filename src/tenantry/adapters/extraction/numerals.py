"""Numbers as lists count by them: 2, 02, II, ii, B, b, 2nd."""

from __future__ import annotations

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_ROMAN_MAX = 3_999
_REPEATED_MAX = 30  # how often Word's letters may stand: after z come aa, bb and so on
_ENDS = {1: "st", 2: "nd", 3: "rd"}


def roman(number: int) -> str:
    """In small letters; what they cannot say in digits."""
    if not 0 < number <= _ROMAN_MAX:
        return str(number)
    written = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        written += letters * count
    return written


def repeated_letter(number: int) -> str:
    """As Word counts: a to z, aa, bb. Far beyond in digits."""
    if not 0 < number <= 26 * _REPEATED_MAX:
        return str(number)
    times, place = divmod(number - 1, 26)
    return chr(ord("a") + place) * (times + 1)


def letters(number: int) -> str:
    """As browsers count: a to z, aa, ab."""
    if number <= 0:
        return str(number)
    written = ""
    while number:
        number, place = divmod(number - 1, 26)
        written = chr(ord("a") + place) + written
    return written


def ordinal(number: int) -> str:
    """In English."""
    teens = number // 10 % 10 == 1
    return f"{number}{'th' if teens else _ENDS.get(number % 10, 'th')}"
