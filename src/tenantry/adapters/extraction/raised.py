"""What is raised above a line, as plain text says it: 10 to the 6th is 10^6 and not 106."""

from __future__ import annotations

import re

END_CHARS = 4  # as many of what stands before are enough to decide
FRACTION_SIGNS = ("/", "\u2044")
# Not the ends of 1st, 2e and 3rd.
_RAISED = re.compile(r"[+\-\u2212]?\d|[inxy]\b")
# `in` and `mi` are words as well, and `'s` and `'m` their ends.
_UNIT = re.compile(r"(?:^|[^\w'\u2019]|[\d_])(?:[cdkmnµμ]?m|ft|yd|s)\Z|\d\s?(?:in|mi)\Z")
_POWERS_OF_UNITS = ("2", "3")  # m2, km3: written so in plain text, and asked for so


def sign_before_raised(end: str, above: str, *, linked: bool = False, divided: bool = False) -> str:
    """What to write before `above`, raised behind a line that ends so: "^", a space or "".

    `linked`: it is a link, as the mark of a note is. `divided`: it is the upper half of a fraction
    in a line, as in 3 1/2.
    """
    if not end or end[-1] in "^ \n\t" or not _RAISED.match(above):
        return ""
    if divided:
        return " "
    unit = _UNIT.search(end) and above in _POWERS_OF_UNITS and not linked
    return "" if unit else "^"


def sign_before_fraction(end: str) -> str:
    """What stands before a fraction over a line of its own: 3 and a half is 3 1/2."""
    return " " if end[-1:].isdigit() else ""
