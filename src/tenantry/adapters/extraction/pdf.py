"""PDF to text. Runs in the worker process only."""

from __future__ import annotations

import re

import pypdfium2 as pdfium

from tenantry.adapters.extraction.plain import printable
from tenantry.adapters.extraction.worker_limits import PAGES_MAX, TEXT_CHARS_MAX
from tenantry.domain.errors import TooLarge, Unreadable

# What PDFium puts for a hyphen at a line's end, by the call that is asked, and no line end then; no
# word is broken before a number, so that one was written: COVID-19.
_BROKEN = re.compile("[\x02\ufffe](?:\r?\n)?")
_BROKEN_BEFORE_NUMBER = re.compile(_BROKEN.pattern + r"(?=\d)")
_HYPHENATED = re.compile(r"(?<=[^\W\d_])[\u00ad\u2010][ \t]*\r?\n(?=[^\W\d_])")  # those it leaves


def to_text(data: bytes) -> tuple[str, int]:
    """All pages' text, a blank line between them, and their number."""
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise Unreadable("The PDF is encrypted: save it without a password.") from None
        raise Unreadable("The PDF is damaged and cannot be opened.") from None
    with document:
        pages = len(document)
        if pages > PAGES_MAX:
            raise TooLarge(f"The PDF has {pages} pages; at most {PAGES_MAX} are taken.")
        texts: list[str] = []
        chars = 0
        for number in range(pages):
            text = _page(document, number)
            chars += len(text)
            if chars > TEXT_CHARS_MAX:
                raise TooLarge(f"The PDF holds more than {TEXT_CHARS_MAX:,} characters of text.")
            texts.append(text)
    return "\n\n".join(text for text in texts if text), pages


def _page(document: pdfium.PdfDocument, number: int) -> str:
    try:
        page = document[number]
        text = page.get_textpage().get_text_bounded()
        page.close()
    except pdfium.PdfiumError:
        raise Unreadable(f"Page {number + 1} of the PDF is damaged.") from None
    return printable(_joined(text).encode("utf-8", "ignore").decode()).strip()


def _joined(text: str) -> str:
    """Words that were broken at a line's end as one."""
    return _HYPHENATED.sub("", _BROKEN.sub("", _BROKEN_BEFORE_NUMBER.sub("-", text)))
