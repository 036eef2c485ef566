"""How a table is laid out: a line for each row, or a block of `field  value` for each.

Owns: how wide columns are, and where a line may end. That is between words alone: a figure, an
instant, an id is never broken, so that it can be read and copied. Where even that is wider than
there is room, each row is a block.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len

GAP = 2  # blanks between columns
WORDS_MIN = 24  # of a column of words: narrower, it would be a long one
_LISTED = 2  # a table of no more columns is a block already
# What stands together: an instant, an amount with its unit, a word. Scripts that are written
# without blanks may be parted anywhere.
_WIDE = "\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffe6"
_PIECE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?Z?(?!\S)"
    r"|[-+–]?\d[\d.,]* (?:%|[A-Z]{3}|[kMGT]?B)(?!\S)"
    rf"|[{_WIDE}]|[^\s{_WIDE}]+"
)


def width_of(text: str) -> int:
    """How many columns of a terminal it takes."""
    return cell_len(text)


def widest_piece(text: str) -> int:
    return max((cell_len(found[0]) for found in _PIECE.finditer(text)), default=0)


def folded(text: str, room: int) -> list[str]:
    """Lines of at most `room`, but for a piece that is longer by itself."""
    lines, start, end = [], 0, 0
    for found in _PIECE.finditer(text):
        if end > start and cell_len(text[start : found.end()]) > room:
            lines.append(text[start:end])
            start = found.start()
        end = found.end()
    return [*lines, text[start:].rstrip() if lines else text]


def column_widths(
    headings: Sequence[str], rows: Sequence[Sequence[str]], room: int
) -> list[int] | None:
    """Of a line for each row. None where blocks are better.

    Columns that need little more than their longest piece have it first; those of long texts share
    what is left. Headings are on one line if all can be.
    """
    widths = least_widths(headings, rows)
    left = room - sum(widths) - GAP * (len(widths) - 1)
    if left < 0:
        return widths if not rows or len(headings) <= _LISTED else None
    wanted = [
        max(width, *(width_of(row[at]) for row in rows), 0) for at, width in enumerate(widths)
    ]
    by_need = sorted(range(len(widths)), key=lambda at: wanted[at] - widths[at])
    for place, at in enumerate(by_need):
        share = min(wanted[at] - widths[at], left // (len(widths) - place))
        widths[at] += share
        left -= share
    whole = [max(width, width_of(heading)) for width, heading in zip(widths, headings, strict=True)]
    return whole if sum(whole) - sum(widths) <= left else widths


def least_widths(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """With no piece broken, and room for some words where cells hold any."""
    return [
        max(widest_piece(heading), *(_least(row[at]) for row in rows), 1)
        for at, heading in enumerate(headings)
    ]


def _least(cell: str) -> int:
    return max(widest_piece(cell), min(width_of(cell), WORDS_MIN))
