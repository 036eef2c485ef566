"""What stands in a DOCX: its elements as the words that a reader sees with every change accepted.

Word wraps text in what a plain reading of paragraphs and runs passes over: tracked insertions,
content controls, fields, text boxes. Here every element is looked through but those whose text is
gone or stands elsewhere. Nesting is bounded by the XML parser, at 256.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tenantry.adapters.extraction.docx_maths import SPACE as _MATHS
from tenantry.adapters.extraction.docx_maths import is_spelled, spelled
from tenantry.adapters.extraction.docx_symbols import character_of
from tenantry.adapters.extraction.raised import END_CHARS, FRACTION_SIGNS, sign_before_raised
from tenantry.domain.errors import Unreadable

TABLE_DEPTH_MAX = 32
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
        if note.get(_NOTE_TYPE) not in _NO_NOTES:
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
        elif child.tag == _SYMBOL:
            words.append(character_of(child, _W))
        elif child.tag == _BOX:
            boxes.append(child)
        elif is_spelled(child.tag):
            words.append(spelled(child, _end(words), partial(_text, boxes=boxes)))
        elif not _hidden(child):
            if child.tag == _RUN and _alignment(child) == "superscript":
                words.append(_sign_before(child, _end(words)))
            _collect(child, words, boxes)


def _text(element: Any, boxes: list[Any]) -> str:
    if is_spelled(element.tag):  # a row of a matrix
        return spelled(element, "", partial(_text, boxes=boxes))
    words: list[str] = []
    _collect(element, words, boxes)
    return "".join(words)


def _end(words: list[str]) -> str:
    """The last few characters of a line."""
    return "".join(word[-END_CHARS:] for word in words[-2 * END_CHARS :])[-END_CHARS:]


def _alignment(run: Any) -> str:
    """`superscript`, `subscript`, or neither."""
    found = run.find(f"{_W}rPr/{_W}vertAlign")
    return "" if found is None else str(found.get(f"{_W}val", ""))


def _sign_before(run: Any, end: str) -> str:
    """Word cuts what is raised into as many runs as it likes: the sign stands before the first."""
    before = next(run.itersiblings(_RUN, preceding=True), None)
    if before is not None and _alignment(before) == "superscript":
        return ""
    above, following = _text(run, []), run.itersiblings(_RUN)
    after = next(following, None)
    while after is not None and _alignment(after) == "superscript" and len(above) < END_CHARS:
        above += _text(after, [])
        after = next(following, None)
    below = next(following, None)
    divided = (
        after is not None
        and below is not None
        and _alignment(below) == "subscript"
        and _text(after, []).strip() in FRACTION_SIGNS
    )
    return sign_before_raised(end, above.strip(), divided=divided)


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
