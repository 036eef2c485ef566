"""How a table is laid out: a line for each row, or a block of `field  value` for each.

Owns: how wide columns are, where a line may end, and the lines of the whole. A line ends
between words alone: a figure, an instant, an id is never broken, so that it can be read and copied.
Where even that is wider than there is room, each row is a block. Rich would measure, wrap and cut
each cell once more, which for thousands of rows takes many times what the rows take to be read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

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

Line = tuple[str, str]  # what stands out of it, and what follows that


def width_of(text: str) -> int:
    """How many columns of a terminal it takes."""
    return cell_len(text)


def widest_piece(text: str) -> int:
    return max((cell_len(found[0]) for found in _PIECE.finditer(text)), default=0)


def folded(text: str, room: int) -> list[str]:
    """Lines of at most `room`, but for a piece that is longer by itself."""
    if cell_len(text) <= room:
        return [text]
    lines, start, end = [], 0, 0
    for found in _PIECE.finditer(text):
        if end > start and cell_len(text[start : found.end()]) > room:
            lines.append(text[start:end])
            start = found.start()
        end = found.end()
    lines.append(text[start:].rstrip())
    if cell_len(lines[0]) > room:
        lines[0] = lines[0].lstrip()
    return lines


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


def lines_of_rows(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    right: Collection[int],
) -> Iterator[Line]:
    """The headings, then a line for each row, or as many as its highest cell has. All are as wide
    as the table. `right`: which columns."""
    for words in _side_by_side(headings, widths, right, at_the_foot=True):
        yield words, ""
    for row in rows:
        for words in _side_by_side(row, widths, right):
            yield "", words


def lines_of_blocks(
    headings: Sequence[str], rows: Sequence[Sequence[str]], room: int
) -> Iterator[Line]:
    """`field  value`, a block for each row, blank lines between them; nothing of a column without
    a name where it has nothing to say."""
    names = max(map(width_of, headings))
    blocks = [[folded(cell, max(room - names - GAP, 1)) for cell in row] for row in rows]
    values = max(width_of(line) for block in blocks for lines in block for line in lines)
    for number, block in enumerate(blocks):
        if number:
            yield "", " " * (names + GAP + values)
        for heading, lines in zip(headings, block, strict=True):
            if heading or any(lines):
                start = " " * (names - width_of(heading) + GAP)
                yield heading, start + _filled(lines[0], values)
                yield from (("", " " * (names + GAP) + _filled(line, values)) for line in lines[1:])


def _side_by_side(
    cells: Sequence[str],
    widths: Sequence[int],
    right: Collection[int],
    *,
    at_the_foot: bool = False,
) -> Iterator[str]:
    parts = [folded(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, parts))
    for at in range(height):
        shown = []
        for place, (part, width) in enumerate(zip(parts, widths, strict=True)):
            line = at - (height - len(part) if at_the_foot else 0)
            words = part[line] if 0 <= line < len(part) else ""
            shown.append(_filled(words, width, right=place in right))
        yield (" " * GAP).join(shown)


def _filled(words: str, width: int, *, right: bool = False) -> str:
    words = words.rstrip() if right else words
    blanks = " " * (width - cell_len(words))
    return blanks + words if right else words + blanks
