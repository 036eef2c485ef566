"""What stands in a DOCX: its elements as the words that a reader sees with every change accepted.

Word wraps text in what a plain reading of paragraphs and runs passes over: tracked insertions,
content controls, fields, text boxes. Here every element is looked through but those whose text is
gone or stands elsewhere. Nesting is bounded by the XML parser, at 256.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tenantry.adapters.extraction.docx_line import LOWERED, RAISED, Line
from tenantry.adapters.extraction.docx_maths import SPACE as _MATHS
from tenantry.adapters.extraction.docx_maths import is_spelled, spelled
from tenantry.adapters.extraction.docx_names import COMPATIBLE, W
from tenantry.adapters.extraction.docx_numbers import Numbers
from tenantry.adapters.extraction.docx_styles import Styles, number, setting, value
from tenantry.adapters.extraction.docx_symbols import character_of
from tenantry.domain.errors import Unreadable

TABLE_DEPTH_MAX = 32
FORMULA_DEPTH_MAX = 128  # as deep as parts of formulas go; others are looked through
_DRAWN = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
DOCUMENT = f"{W}document"
_TABLE, _ROW, _CELL, _CHUNK = (f"{W}{name}" for name in ("tbl", "tr", "tc", "altChunk"))
_PARAGRAPHS = (f"{W}p", f"{_DRAWN}p")
_BOXES = (f"{W}txbxContent", f"{_DRAWN}txBody")
_ALTERNATIVES, _CHOICE, _FALLBACK = (
    f"{COMPATIBLE}{name}" for name in ("AlternateContent", "Choice", "Fallback")
)
# Deleted, moved away, settings, the reading of a ruby.
_PASSED_OVER = frozenset(f"{W}{name}" for name in ("del", "moveFrom", "pPr", "rPr", "sdtPr", "rt"))
_TEXTS = frozenset({f"{W}t", f"{_MATHS}t", f"{_DRAWN}t"})
_SIGNS = {
    **dict.fromkeys((f"{W}tab", f"{W}ptab"), "\t"),
    # also a page's or a column's end
    **dict.fromkeys((f"{W}br", f"{W}cr", f"{_DRAWN}br"), "\n"),
    f"{W}noBreakHyphen": "-",
}
_RUN, _SYMBOL, _FIELD, _NOTE_TYPE = f"{W}r", f"{W}sym", f"{W}fldChar", f"{W}type"
_RUNS = (_RUN, f"{_MATHS}r")
_WORDS = (*_TEXTS, _SYMBOL, f"{W}noBreakHyphen", _CHUNK)
_MARK_GONE = ("del", "moveFrom")  # of a paragraph's end
_NO_NOTES = ("separator", "continuationSeparator", "continuationNotice")


@dataclass
class Words:
    """Reads one part of a DOCX. `chunk` gives the text of a file within it, by the id that it has
    in this part.
    """

    styles: Styles = field(default_factory=Styles)
    numbers: Numbers = field(default_factory=lambda: Numbers(Styles()))
    chunk: Callable[[str], str] = str

    def blocks(self, container: Any, depth: int = 0) -> Iterator[str]:
        """The text of paragraphs and of table rows, in reading order. Else Unreadable."""
        line = Line()
        counted: Any = None  # the paragraph whose list the line is in
        deleted = False
        for child in _shown(container):
            if child.tag in _PARAGRAPHS:
                if counted is None or deleted or line.is_empty():
                    counted = child
                self._collect(child, line, self.styles.of_paragraph(child))
                deleted = _end_is_deleted(child)
                if not deleted and not self._end_is_hidden(child):
                    yield from self._written(line, depth, counted)
                    line, counted = Line(), None
            elif len(child) or child.tag == _CHUNK:
                # Not a bookmark, which may stand between two parts of a line.
                if not line.is_empty():
                    yield from self._written(line, depth, counted)
                    line, counted = Line(), None
                yield from self._block(child, depth)
        if not line.is_empty():
            yield from self._written(line, depth, counted)

    def notes(self, part: Any) -> Iterator[str]:
        """The text of a part of foot- or endnotes."""
        for note in _shown(part):
            if note.get(_NOTE_TYPE) not in _NO_NOTES:
                yield "\n".join(self.blocks(note)).strip()

    def _block(self, element: Any, depth: int) -> Iterator[str]:
        if element.tag == _TABLE:
            yield from self._rows(element, depth)
        elif element.tag == _CHUNK:
            yield self.chunk(element.get(_ID, ""))
        else:
            yield from self.blocks(element, depth)

    def _written(self, line: Line, depth: int, counted: Any) -> Iterator[str]:
        """One paragraph's own line, after its number; then what its text boxes hold."""
        before = "" if counted is None else self.numbers.before(counted)
        text = line.text()
        yield f"{before} {text}" if before else text
        for box in line.boxes:
            yield from self.blocks(box, depth)

    def _end_is_hidden(self, paragraph: Any) -> bool:
        """Whether the next one goes on in its line."""
        mark = paragraph.find(f"{W}pPr/{W}rPr")
        return self.styles.hides(self.styles.of_paragraph(paragraph), mark)

    def _hidden(self, element: Any, style: str) -> bool:
        settings = element.find(f"{W}rPr")
        if settings is None and element.tag not in _RUNS:
            return False
        return self.styles.hides(style, settings)

    def _collect(self, element: Any, line: Line, style: str, stands: str = "") -> None:
        """Adds what an element holds, in a paragraph of a style; `stands` is how its run does."""
        for child in _shown(element):
            if child.tag in _TEXTS:
                line.add(child.text or "", stands)
            elif child.tag in _SIGNS:
                line.add(_SIGNS[child.tag], stands)
            elif child.tag == _SYMBOL:
                line.add(character_of(child, W), stands)
            elif child.tag == _FIELD:
                line.add(_chosen(child), stands)
            elif child.tag in _BOXES:
                line.boxes.append(child)
            elif _is_formula(child, line):
                part = partial(self._text, around=line, style=style)
                line.add(spelled(child, line.end(), part), stands)
            elif not self._hidden(child, style):
                raised = _alignment(child) if child.tag == _RUN else stands
                self._collect(child, line, style, raised)

    def _text(self, element: Any, around: Line, style: str) -> str:
        """A part of a formula."""
        line = Line(around.boxes, around.formulas + 1)
        if _is_formula(element, line):  # a row of a matrix
            return spelled(element, "", partial(self._text, around=line, style=style))
        self._collect(element, line, style)
        return line.text()

    def _rows(self, table: Any, depth: int) -> Iterator[str]:
        """A cell over several columns is read once, one over several rows in each of them.

        Hence the bound on nesting: each level may repeat all that stands below it.
        """
        if depth >= TABLE_DEPTH_MAX:
            raise Unreadable(f"The DOCX holds tables nested more than {TABLE_DEPTH_MAX} deep.")
        above: dict[int, str] = {}
        for row in _parts(table, _ROW):
            if row.find(f"{W}trPr/{W}del") is not None:
                continue
            column = number(value(row, "trPr", "gridBefore")) or 0
            cells: list[str] = []
            for cell in _parts(row, _CELL):
                merge = cell.find(f"{W}tcPr/{W}vMerge")
                if merge is None or merge.get(f"{W}val") == "restart" or column not in above:
                    above[column] = "\n".join(self.blocks(cell, depth + 1)).strip()
                if cell.find(f"{W}tcPr/{W}cellDel") is None:
                    cells.append(above[column])
                column += _columns(cell)
            yield " | ".join(cells)


def _shown(element: Any) -> Iterator[Any]:
    """Elements below, without comments and instructions, whose tag is no text."""
    for child in element:
        if isinstance(child.tag, str) and child.tag not in _PASSED_OVER:
            yield _alternative(child) if child.tag == _ALTERNATIVES else child


def _alternative(element: Any) -> Any:
    """The first choice that holds words, else what an older Word is shown: emoji stand there."""
    for choice in element.iterchildren(_CHOICE):
        if next(choice.iter(*_WORDS), None) is not None:
            return choice
    fallback = element.find(_FALLBACK)
    return element if fallback is None else fallback


def _end_is_deleted(paragraph: Any) -> bool:
    """Or moved away, so that the next one goes on in its line."""
    mark = paragraph.find(f"{W}pPr/{W}rPr")
    return any(setting(mark, name) for name in _MARK_GONE)


def _chosen(field: Any) -> str:
    """The entry of a list that is chosen in a form; no other field keeps its words there."""
    entries = field.find(f"{W}ffData/{W}ddList")
    if entries is None:
        return ""
    said = (number(value(entries, name)) for name in ("result", "default"))
    place = next((one for one in said if one is not None), 0)
    listed = entries.findall(f"{W}listEntry")
    return str(listed[place].get(f"{W}val", "")) if 0 <= place < len(listed) else ""


def _is_formula(element: Any, line: Line) -> bool:
    return is_spelled(element.tag) and line.formulas < FORMULA_DEPTH_MAX


def _alignment(run: Any) -> str:
    found = run.find(f"{W}rPr/{W}vertAlign")
    stands = "" if found is None else found.get(f"{W}val", "")
    return stands if stands in (RAISED, LOWERED) else ""


def _parts(element: Any, tag: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, also of content controls and tracked changes in it."""
    for child in _shown(element):
        if child.tag == tag:
            yield child
        else:
            yield from _parts(child, tag)


def _columns(cell: Any) -> int:
    span = number(value(cell, "tcPr", "gridSpan"))
    return 1 if span is None else span
