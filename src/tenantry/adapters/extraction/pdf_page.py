"""The words of one PDF page as they stand on it: in their lines, in order, and none from beside the
page.
"""

from __future__ import annotations

import re
from typing import Any

import pypdfium2.raw as pdfium

from tenantry.adapters.extraction.pdf_turned import Line, in_order

LOOKED_AT = 200  # characters of a page, spread over it
_HYPHEN = re.compile("(?<=[^\\W\\d_])[-\u00ad\x02\ufffe] *\\Z")
_TOLD_OF = "\x02"  # as PDFium writes one that breaks a word
_GAPS = re.compile("[\\s\x00-\x1f\x7f-\x9f\ufffe\u00ad]+")


def text_of(textpage: Any) -> str:
    """Its text with a line end after each line, however its lines are turned.

    PDFium gives it in two ways, and neither whole: by its range, with all line ends, what stands
    beside the page, and no character beyond U+FFFF; by the page's box, without the line ends of
    lines that are turned by a right angle. Where both hold the same words, the first is right, but
    for the order of lines that are turned clockwise.
    """
    ranged = str(textpage.get_text_range())
    count = textpage.count_chars()
    whole = _GAPS.sub("", ranged) == _GAPS.sub("", textpage.get_text_bounded())
    characters = ranged if len(ranged) == count else _characters(textpage, count)
    lines = in_order(textpage, characters)
    if lines is not None:
        return _ordered(textpage, lines)
    return ranged if whole else _one_by_one(textpage, 0, count)


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


def _characters(textpage: Any, count: int) -> str:
    units = (pdfium.FPDFText_GetUnicode(textpage, place) for place in range(count))
    return "".join(map(chr, units))


def _ordered(textpage: Any, lines: list[Line]) -> str:
    """Lines anew, one to a line. Whether a hyphen breaks a word is told by what comes next."""
    read = (_one_by_one(textpage, line.start, line.stop) for line in lines)
    texts = [text for text in read if text.strip()]
    parts: list[str] = []
    for text, following in zip(texts, [*texts[1:], ""], strict=True):
        broken = _HYPHEN.search(text) if following[:1].isalnum() else None
        if broken is not None:
            parts += [text[: broken.start()], _TOLD_OF]
        else:
            parts += [text.replace("\x02", "-").replace("\ufffe", "-"), "\n"]
    return "".join(parts)


def _one_by_one(textpage: Any, start: int, stop: int) -> str:
    """The characters that stand on the page; those between them, by what is before them."""
    left, bottom, right, top = textpage.page.get_bbox()
    kept: list[str] = []
    shown = False
    for place in range(start, stop):
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
