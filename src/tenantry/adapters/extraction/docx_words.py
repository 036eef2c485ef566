"""What stands in a DOCX: its elements as the words that a reader sees with every change accepted.

Word wraps text in what a plain reading of paragraphs and runs passes over: tracked insertions,
content controls, fields, text boxes. Here every element is looked through but those whose text is
gone or stands elsewhere. Nesting is bounded by the XML parser, at 256.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tenantry.domain.errors import Unreadable

TABLE_DEPTH_MAX = 32
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATHS = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
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
_SIGNS = {f"{_W}tab": "\t", f"{_W}ptab": "\t", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_LINE_BREAK, _BREAK_TYPE = f"{_W}br", f"{_W}type"
_NO = ("0", "false", "off")  # what a setting says that is there and does not hold
_MARK_GONE = ("del", "moveFrom", "vanish")  # of a paragraph's end
_NO_NOTES = ("separator", "continuationSeparator", "continuationNotice")


def blocks(container: Any, depth: int = 0) -> Iterator[str]:
    """The text of paragraphs and of table rows, in reading order. Else Unreadable."""
    words: list[str] = []
    boxes: list[Any] = []
    for child in _shown(container):
        if child.tag == _PARAGRAPH:
            _collect(child, words, boxes)
            if not _runs_on(child):
                yield from _line(words, boxes, depth)
        elif len(child):  # not a bookmark, which may stand between two parts of a line
            if words or boxes:
                yield from _line(words, boxes, depth)
            yield from _rows(child, depth) if child.tag == _TABLE else blocks(child, depth)
    if words or boxes:
        yield from _line(words, boxes, depth)


def notes(part: Any) -> Iterator[str]:
    """The text of a part of foot- or endnotes."""
    for note in _shown(part):
        if note.get(_BREAK_TYPE) not in _NO_NOTES:
            yield "\n".join(blocks(note)).strip()


def _shown(element: Any) -> Iterator[Any]:
    """Elements below, without comments and instructions, whose tag is no text."""
    return (
        child for child in element if isinstance(child.tag, str) and child.tag not in _PASSED_OVER
    )


def _line(words: list[str], boxes: list[Any], depth: int) -> Iterator[str]:
    """One paragraph's own line, then what its text boxes hold; both lists begin anew."""
    yield "".join(words)
    for box in boxes:
        yield from blocks(box, depth)
    words.clear()
    boxes.clear()


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


def _collect(element: Any, words: list[str], boxes: list[Any]) -> None:
    for child in _shown(element):
        if child.tag in _TEXTS:
            words.append(child.text or "")
        elif child.tag in _SIGNS:
            words.append(_SIGNS[child.tag])
        elif child.tag == _LINE_BREAK:
            if child.get(_BREAK_TYPE, "textWrapping") == "textWrapping":  # not a page's or column's
                words.append("\n")
        elif child.tag == _BOX:
            boxes.append(child)
        elif not _hidden(child):
            _collect(child, words, boxes)


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
