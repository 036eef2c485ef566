"""What stands on a PDF's page without being part of it: a form's answers, and notes typed on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pypdfium2.raw as pdfium

_WITH_WORDS = (pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_STAMP)
_UNSEEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW


def has_words(page: Any) -> bool:
    """Whether there is any that a reader sees as words."""
    return any(pdfium.FPDFAnnot_GetSubtype(one) in _WITH_WORDS for one in _annotations(page))


def typed(page: Any) -> list[str]:
    """Notes whose look the file leaves to the reader's program, as some writers do."""
    return [
        _contents(one)
        for one in _annotations(page)
        if pdfium.FPDFAnnot_GetSubtype(one) == pdfium.FPDF_ANNOT_FREETEXT
        and not pdfium.FPDFAnnot_GetFlags(one) & _UNSEEN
        and not pdfium.FPDFAnnot_HasKey(one, b"AP")
    ]


def make_part(page: Any) -> None:
    """Puts what is seen into the page, which is to be opened anew: a hidden field and a password
    stay unread, and of a list what is shown is read. What PDFium cannot put there stays out.
    """
    pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)


def _annotations(page: Any) -> Iterator[Any]:
    for place in range(pdfium.FPDFPage_GetAnnotCount(page)):
        found = pdfium.FPDFPage_GetAnnot(page, place)
        if found:
            try:
                yield found
            finally:
                pdfium.FPDFPage_CloseAnnot(found)


def _contents(annotation: Any) -> str:
    size = pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", None, 0)
    held = ctypes.create_string_buffer(size)
    units = ctypes.cast(held, ctypes.POINTER(pdfium.FPDF_WCHAR))
    pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", units, size)
    return held.raw.decode("utf-16-le", "ignore").rstrip("\0")
