"""The words of one PDF page as they stand on it: in their lines, and none from beside the page."""

from __future__ import annotations

import re
from typing import Any

import pypdfium2.raw as pdfium

LOOKED_AT = 200  # characters of a page, spread over it
_GAPS = re.compile("[\\s\x00-\x1f\x7f-\x9f\ufffe\u00ad]+")


def text_of(textpage: Any) -> str:
    """Its text with a line end after each line, however its lines are turned.

    PDFium gives it in two ways, and neither whole: by its range, with all line ends, what stands
    beside the page, and no character beyond U+FFFF; by the page's box, without the line ends of
    lines that are turned by a right angle. Where both hold the same words, the first is right.
    """
    ranged = str(textpage.get_text_range())
    if _GAPS.sub("", ranged) == _GAPS.sub("", textpage.get_text_bounded()):
        return ranged
    return _one_by_one(textpage)


def letters(textpage: Any) -> tuple[int, int]:
    """How many characters were looked at, and for how many of them the font names no letter."""
    count = textpage.count_chars()
    every = max(1, count // LOOKED_AT)
    seen = unknown = 0
    for place in range(0, count, every):
        if pdfium.FPDFText_IsGenerated(textpage, place) != 1:
            seen += 1
            unknown += pdfium.FPDFText_HasUnicodeMapError(textpage, place) == 1
    return seen, unknown


def _one_by_one(textpage: Any) -> str:
    """The characters that stand on the page; those between them, by what is before them."""
    left, bottom, right, top = textpage.page.get_bbox()
    kept: list[str] = []
    shown = False
    for place in range(textpage.count_chars()):
        sign = chr(pdfium.FPDFText_GetUnicode(textpage, place))
        if sign in "\r\n":
            if kept and kept[-1] != "\n":
                kept.append("\n")
        elif sign == " ":
            if shown:
                kept.append(sign)
        else:
            x0, y0, x1, y1 = textpage.get_charbox(place)
            shown = min(x1, right) > max(x0, left) and min(y1, top) > max(y0, bottom)
            if shown and sign != "\0":
                kept.append(sign)
    return "".join(kept).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
