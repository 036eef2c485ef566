"""The lines of a PDF page that are turned clockwise, in their order.

PDFium sorts what begins at one height from left to right. Lines that run downwards all do, and the
first of them is the one furthest to the right: they come out last line first.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium

_CLOCKWISE = math.pi / 2
_ASKEW = math.radians(10)  # how far from that a line may be
_LINE = re.compile("[^\r\n\x02\ufffe]+[\x02\ufffe]?")  # PDFium ends one by a broken word as well


@dataclass(frozen=True, slots=True)
class Line:
    """Places of its characters; of one that is turned clockwise, where it begins as it is shown."""

    start: int
    stop: int
    x: float = 0.0
    y: float = 0.0
    size: float = 0.0  # of its first letter, in points
    turned: bool = False


def in_order(textpage: Any, characters: str) -> list[Line] | None:
    """The lines of a page whose characters these are, one a place; None where they are in order."""
    lines = [_looked_at(textpage, characters, found.span()) for found in _LINE.finditer(characters)]
    sorted_by_place = list(_reversed(lines))
    return None if sorted_by_place == lines else sorted_by_place


def _reversed(lines: list[Line]) -> Iterator[Line]:
    run: list[Line] = lines[:1]
    for before, line in pairwise(lines):
        if not _is_sorted(before, line):
            yield from reversed(run)
            run = []
        run.append(line)
    yield from reversed(run)


def _is_sorted(before: Line, line: Line) -> bool:
    """Whether they begin at one height, so that the second, if it is no superscript of the first,
    stands above it.
    """
    size = max(line.size, before.size)
    level = abs(line.y - before.y) <= size
    return line.turned and before.turned and level and line.x - before.x > size / 2


def _looked_at(textpage: Any, characters: str, span: tuple[int, int]) -> Line:
    start, stop = span
    first = start
    while first < stop - 1 and characters[first] == " ":
        first += 1
    quarters = textpage.page.get_rotation() // 90
    angle = pdfium.FPDFText_GetCharAngle(textpage, first) + quarters * math.pi / 2
    if abs(math.remainder(angle - _CLOCKWISE, 2 * math.pi)) > _ASKEW:
        return Line(start, stop)
    left, bottom, right, top = textpage.get_charbox(first, loose=True)
    x, y = _shown(textpage, first, quarters)
    return Line(start, stop, x, y, max(right - left, top - bottom), turned=True)


def _shown(textpage: Any, place: int, quarters: int) -> tuple[float, float]:
    """Where a character stands, from left to right and upwards, on its page as that is turned."""
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(textpage, place, x, y)
    for _ in range(quarters):
        x, y = y, ctypes.c_double(-x.value)
    return x.value, y.value
