"""The rows of HTML's tables: a cell beside the others of its row, as a DOCX has them.

A cell over several columns is read once, one over several rows in each of them, where it is as
short as a label. Pages are laid out in tables too: those in which tables, headings or `pre` stand,
and those that say so, are read cell by cell. Whether one is of that kind is known at its end.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from tenantry.adapters.extraction.html_elements import CELLS

TABLE_DEPTH_MAX = 32  # as of a DOCX; what is deeper is read as text, cells a blank apart
LABEL_CHARS_MAX = 1_000  # of a cell that is read in several rows
REPEATED_CHARS_MAX = 1_000_000  # of a page: what is read again
_REPEATED_CHARS_MIN = 20  # as what a short one counts, for the work
SIGN = " | "
PARTS = frozenset({"table", "tr", *CELLS})
_GROUPS = frozenset({"thead", "tbody", "tfoot"})
_LAYS_OUT = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "pre"})
_ROLES = frozenset({"none", "presentation"})
_SPAN = re.compile(r"\s*\+?(\d{1,5})")
_COLUMNS_MAX, _ROWS_MAX = 1_000, 65_534  # as browsers take them


@dataclass(frozen=True, slots=True)
class _Cell:
    column: int
    columns: int
    rows: int  # that it reaches over, from this one on
    text: str
    again: bool = False  # it is of a row above


@dataclass
class _Row:
    first: bool  # of its group
    above: deque[_Cell]  # what reaches into it, and is not passed yet
    cells: list[_Cell] = field(default_factory=list)

    def place(self) -> int:
        """The next column that is free."""
        free = _behind(self.cells)
        while self.above and self.above[0].column <= free:
            self.cells.append(self.above.popleft())
            free = max(free, _behind(self.cells))
        return free

    def whole(self) -> list[_Cell]:
        return [*self.cells, *self.above]


@dataclass
class _Table:
    lays_out: bool
    rows: list[_Row] = field(default_factory=list)
    group_ended: bool = True
    in_cell: bool = False


class Tables:
    """The tables that are open, one in another."""

    def __init__(self) -> None:
        self._open: list[_Table] = []
        self._deeper = 0
        self._repeated_chars = REPEATED_CHARS_MAX

    @property
    def reads(self) -> bool:
        """Whether the innermost table is read by its rows."""
        return bool(self._open) and not self._deeper

    def begin(self, node: LexborNode) -> None:
        if self._open:
            self._open[-1].lays_out = True
        if len(self._open) == TABLE_DEPTH_MAX:
            self._deeper += 1
        else:
            role = (node.attributes.get("role") or "").strip().lower()
            self._open.append(_Table(role in _ROLES))

    def saw(self, name: str, *, opening: bool) -> None:
        """Any element, in reading order."""
        if not self.reads:
            return
        table = self._open[-1]
        if opening and name in _LAYS_OUT and table.in_cell:
            table.lays_out = True
        elif name == "td":
            table.in_cell = opening
        elif not opening and name in _GROUPS:
            table.group_ended = True

    def begin_row(self) -> None:
        table = self._open[-1]
        above = deque(() if table.group_ended else self._reaching_down(table.rows[-1]))
        table.rows.append(_Row(table.group_ended, above))
        table.group_ended = False

    def cell(self, node: LexborNode, text: str) -> None:
        """The text of a cell of the innermost table's last row, at its end."""
        if not self._open[-1].rows:
            self.begin_row()
        row = self._open[-1].rows[-1]
        attributes = node.attributes
        columns = _span(attributes.get("colspan"), _COLUMNS_MAX) or 1
        rows = _span(attributes.get("rowspan"), _ROWS_MAX) or _ROWS_MAX  # 0: all that there are
        row.cells.append(_Cell(row.place(), columns, rows, text))

    def end(self) -> Iterator[tuple[int, str]]:
        """Rows of the innermost table: how many line ends stand before each, and its text."""
        if self._deeper:
            self._deeper -= 1
            return
        table = self._open.pop()
        rows = [(row.first, row.whole()) for row in table.rows]
        filled = {cell.column for _, cells in rows for cell in cells if cell.text}
        lines = 2
        for first, cells in rows:
            own = [cell.text for cell in cells if cell.text and not cell.again]
            if first:
                lines = 2
            if not own:
                continue
            if table.lays_out:
                apart = any("\n" in text for text in own)
                yield (2 if apart else lines), ("\n\n" if apart else " ").join(own)
                lines = 2 if apart else 1
            else:
                yield lines, SIGN.join(cell.text for cell in cells if cell.column in filled).strip()
                lines = 1

    def _reaching_down(self, row: _Row) -> Iterator[_Cell]:
        for cell in row.whole():
            if cell.rows > 1:
                text = cell.text if len(cell.text) <= LABEL_CHARS_MAX else ""
                self._repeated_chars -= max(len(text), _REPEATED_CHARS_MIN)
                if self._repeated_chars < 0:
                    return
                yield _Cell(cell.column, cell.columns, cell.rows - 1, text, again=True)


def _behind(cells: list[_Cell]) -> int:
    return cells[-1].column + cells[-1].columns if cells else 0


def _span(stated: str | None, most: int) -> int:
    """How many a cell reaches over; 1 where nothing else is said."""
    found = _SPAN.match(stated or "")
    return 1 if found is None else min(int(found[1]), most)
