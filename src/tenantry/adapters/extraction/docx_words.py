"""What stands in a DOCX: its elements as the words that a reader sees with every change accepted.

Word wraps text in what a plain reading of paragraphs and runs passes over: tracked insertions,
content controls, fields, text boxes. Here every element is looked through but those whose text is
gone or stands elsewhere. Nesting is bounded by the XML parser, at 256.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tenantry.adapters.extraction.docx_line import LOWERED, RAISED, Line
from tenantry.adapters.extraction.docx_maths import SPACE as _MATHS
from tenantry.adapters.extraction.docx_maths import is_spelled, spelled
from tenantry.adapters.extraction.docx_symbols import character_of
from tenantry.domain.errors import Unreadable

TABLE_DEPTH_MAX = 32
FORMULA_DEPTH_MAX = 128  # as deep as parts of formulas go; others are looked through
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
DOCUMENT = f"{_W}document"
_PARAGRAPH, _TABLE, _ROW, _CELL, _BOX = (
    f"{_W}{name}" for name in ("p", "tbl", "tr", "tc", "txbxContent")
)
# Deleted, moved away, settings, the reading of a ruby; and what an older Word is shown instead.
_PASSED_OVER = frozenset(
    {f"{_W}{name}" for name in ("del", "moveFrom", "pPr", "rPr", "sdtPr", "rt")}
    | {f"{_COMPATIBLE}Fallback"}
)
_TEXTS = frozenset({f"{_W}t", f"{_MATHS}t"})
_SIGNS = {
    **dict.fromkeys((f"{_W}tab", f"{_W}ptab"), "\t"),
    **dict.fromkeys((f"{_W}br", f"{_W}cr"), "\n"),  # also a page's or a column's end
    f"{_W}noBreakHyphen": "-",
}
_RUN, _SYMBOL, _NOTE_TYPE = f"{_W}r", f"{_W}sym", f"{_W}type"
_NO = ("0", "false", "off")  # what a setting says that is there and does not hold
_MARK_GONE = ("del", "moveFrom", "vanish")  # of a paragraph's end
_NO_NOTES = ("separator", "continuationSeparator", "continuationNotice")


def blocks(container: Any, depth: int = 0) -> Iterator[str]:
    """The text of paragraphs and of table rows, in reading order. Else Unreadable."""
    line = Line()
    for child in _shown(container):
        if child.tag == _PARAGRAPH:
            _collect(child, line)
            if not _runs_on(child):
                yield from _written(line, depth)
                line = Line()
        elif len(child):  # not a bookmark, which may stand between two parts of a line
            if not line.is_empty():
                yield from _written(line, depth)
                line = Line()
            yield from _rows(child, depth) if child.tag == _TABLE else blocks(child, depth)
    if not line.is_empty():
        yield from _written(line, depth)


def notes(part: Any) -> Iterator[str]:
    """The text of a part of foot- or endnotes."""
    for note in _shown(part):
        if note.get(_NOTE_TYPE) not in _NO_NOTES:
            yield "\n".join(blocks(note)).strip()


def _shown(element: Any) -> Iterator[Any]:
    """Elements below, without comments and instructions, whose tag is no text."""
    return (
        child for child in element if isinstance(child.tag, str) and child.tag not in _PASSED_OVER
    )


def _written(line: Line, depth: int) -> Iterator[str]:
    """One paragraph's own line, then what its text boxes hold."""
    yield line.text()
    for box in line.boxes:
        yield from blocks(box, depth)


def _runs_on(paragraph: Any) -> bool:
    """Whether its end was deleted, moved away or hidden, so that the next one goes on in it."""
    mark = paragraph.find(f"{_W}pPr/{_W}rPr")
    return mark is not None and any(_holds(mark, name) for name in _MARK_GONE)


def _holds(settings: Any, name: str) -> bool:
    found = settings.find(f"{_W}{name}")
    return found is not None and found.get(f"{_W}val") not in _NO


def _hidden(run: Any) -> bool:
    settings = run.find(f"{_W}rPr")
    return settings is not None and _holds(settings, "vanish")


def _collect(element: Any, line: Line, stands: str = "") -> None:
    """Adds what an element holds; `stands` is how its run does."""
    for child in _shown(element):
        if child.tag in _TEXTS:
            line.add(child.text or "", stands)
        elif child.tag in _SIGNS:
            line.add(_SIGNS[child.tag], stands)
        elif child.tag == _SYMBOL:
            line.add(character_of(child, _W), stands)
        elif child.tag == _BOX:
            line.boxes.append(child)
        elif _is_formula(child, line):
            line.add(spelled(child, line.end(), partial(_text, around=line)), stands)
        elif not _hidden(child):
            _collect(child, line, _alignment(child) if child.tag == _RUN else stands)


def _is_formula(element: Any, line: Line) -> bool:
    return is_spelled(element.tag) and line.formulas < FORMULA_DEPTH_MAX


def _text(element: Any, around: Line) -> str:
    """A part of a formula."""
    line = Line(around.boxes, around.formulas + 1)
    if _is_formula(element, line):  # a row of a matrix
        return spelled(element, "", partial(_text, around=line))
    _collect(element, line)
    return line.text()


def _alignment(run: Any) -> str:
    found = run.find(f"{_W}rPr/{_W}vertAlign")
    stands = "" if found is None else found.get(f"{_W}val", "")
    return stands if stands in (RAISED, LOWERED) else ""


def _rows(table: Any, depth: int) -> Iterator[str]:
    """A cell over several columns is read once, one over several rows in each of them.

    Hence the bound on nesting: each level may repeat all that stands below it.
    """
    if depth >= TABLE_DEPTH_MAX:
        raise Unreadable(f"The DOCX holds tables nested more than {TABLE_DEPTH_MAX} deep.")
    above: dict[int, str] = {}
    for row in _parts(table, _ROW):
        if row.find(f"{_W}trPr/{_W}del") is not None:
            continue
        column = _number(row, "trPr", "gridBefore", 0)
        cells: list[str] = []
        for cell in _parts(row, _CELL):
            merge = cell.find(f"{_W}tcPr/{_W}vMerge")
            if merge is None or merge.get(f"{_W}val") == "restart" or column not in above:
                above[column] = "\n".join(blocks(cell, depth + 1)).strip()
            if cell.find(f"{_W}tcPr/{_W}cellDel") is None:
                cells.append(above[column])
            column += _number(cell, "tcPr", "gridSpan", 1)
        yield " | ".join(cells)


def _parts(element: Any, tag: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, also of content controls and tracked changes in it."""
    for child in _shown(element):
        if child.tag == tag:
            yield child
        else:
            yield from _parts(child, tag)


def _number(element: Any, settings: str, name: str, default: int) -> int:
    found = element.find(f"{_W}{settings}/{_W}{name}")
    return default if found is None else int(found.get(f"{_W}val", default))
