"""What stands in a DOCX: its elements as the words that a reader sees with every change accepted.

Word wraps text in what a plain reading of paragraphs and runs passes over: tracked insertions,
content controls, fields, text boxes. Here every element is looked through but those whose text is
gone or stands elsewhere. Nesting is bounded by the XML parser, at 256.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TABLE_DEPTH_MAX = 8
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATHS = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
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
_NO_NOTES = ("separator", "continuationSeparator", "continuationNotice")


def blocks(container: Any, depth: int = 0) -> Iterator[str]:
    """The text of paragraphs and of table rows, in reading order."""
    for child in _shown(container):
        if child.tag == _PARAGRAPH:
            yield from _paragraph(child, depth)
        elif child.tag != _TABLE:
            yield from blocks(child, depth)
        elif depth < TABLE_DEPTH_MAX:
            yield from _rows(child, depth)


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


def _paragraph(paragraph: Any, depth: int) -> Iterator[str]:
    """Its own line, then what its text boxes hold."""
    words: list[str] = []
    boxes: list[Any] = []
    _collect(paragraph, words, boxes)
    yield "".join(words)
    for box in boxes:
        yield from blocks(box, depth)


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
        else:
            _collect(child, words, boxes)


def _rows(table: Any, depth: int) -> Iterator[str]:
    """A cell over several columns is read once, one over several rows in each of them."""
    above: dict[int, str] = {}
    for row in _parts(table, _ROW):
        column = _number(row, "trPr", "gridBefore", 0)
        cells: list[str] = []
        for cell in _parts(row, _CELL):
            merge = cell.find(f"{_W}tcPr/{_W}vMerge")
            if merge is None or merge.get(f"{_W}val") == "restart" or column not in above:
                above[column] = "\n".join(blocks(cell, depth + 1)).strip()
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
