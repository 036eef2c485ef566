"""What stands on a PDF's page without being part of it: a form's answers, and notes typed on it."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2.raw as pdfium

LOOKED_AT_MAX = 20_000  # annotations, and entries of lists, of one document
CHARS_MAX = 1_000_000  # of one document
# A form of more fields than that would be costly: to open it takes the square of their number.
OBJECTS_MAX = 12_000
_OBJECTS = re.compile(rb"/Size\s+(\d{1,10})\b")  # in a file's tables; attachments have one too
_UNSEEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_CHOICES = (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
_SECRET = pdfium.FPDF_FORMFLAG_TEXT_PASSWORD


class Annotations:
    """Reads them by what is written in them, as drawing them may cost more than all pages do.

    What goes beyond the bounds stays unread. To be closed before its document is.
    """

    def __init__(self, document: Any, data: bytes) -> None:
        self._document = document
        self._form: Any = None
        objects = max((int(one[1]) for one in _OBJECTS.finditer(data)), default=OBJECTS_MAX)
        self._opens = objects < OBJECTS_MAX
        # No script is run.
        self._settings = pdfium.FPDF_FORMFILLINFO(version=2)
        self._to_look_at = LOOKED_AT_MAX
        self._chars = CHARS_MAX

    def close(self) -> None:
        if self._form:
            pdfium.FPDFDOC_ExitFormFillEnvironment(self._form)
            self._form = None

    def on(self, page: Any) -> list[str]:
        """The words of one page's, as far as a reader sees them."""
        found: list[str] = []
        for one in self._seen(page):
            words = self._words(one).strip()
            if words:
                found.append(words)
        return found

    def _seen(self, page: Any) -> Iterator[Any]:
        for place in range(pdfium.FPDFPage_GetAnnotCount(page)):
            if not self._may_look():
                return
            one = pdfium.FPDFPage_GetAnnot(page, place)
            if one:
                try:
                    if not pdfium.FPDFAnnot_GetFlags(one) & _UNSEEN and _has_extent(one):
                        yield one
                finally:
                    pdfium.FPDFPage_CloseAnnot(one)

    def _may_look(self) -> bool:
        self._to_look_at -= 1
        return self._to_look_at >= 0 and self._chars > 0

    def _words(self, one: Any) -> str:
        kind = pdfium.FPDFAnnot_GetSubtype(one)
        if kind == pdfium.FPDF_ANNOT_FREETEXT:
            return self._entry(one, b"Contents")
        return self._answer(one) if kind == pdfium.FPDF_ANNOT_WIDGET else ""

    def _answer(self, one: Any) -> str:
        """What was typed or chosen. A button has a caption, a ticked box a mark, and no words."""
        form = self._opened()
        kind = pdfium.FPDFAnnot_GetFormFieldType(form, one) if form else 0
        if kind <= 0:
            return self._stray(one)
        if kind in _CHOICES:
            chosen = "\n".join(self._chosen(form, one))
            return chosen or self._read(pdfium.FPDFAnnot_GetFormFieldValue, form, one)
        if kind != pdfium.FPDF_FORMFIELD_TEXTFIELD:
            return ""
        if pdfium.FPDFAnnot_GetFormFieldFlags(form, one) & _SECRET:
            return ""
        return self._read(pdfium.FPDFAnnot_GetFormFieldValue, form, one)

    def _opened(self) -> Any:
        if self._form is None and self._opens:
            self._form = pdfium.FPDFDOC_InitFormFillEnvironment(self._document, self._settings)
        return self._form

    def _chosen(self, form: Any, one: Any) -> Iterator[str]:
        for place in range(pdfium.FPDFAnnot_GetOptionCount(form, one)):
            if not self._may_look():
                return
            if pdfium.FPDFAnnot_IsOptionSelected(form, one, place):
                yield self._read(pdfium.FPDFAnnot_GetOptionLabel, form, one, place)

    def _stray(self, one: Any) -> str:
        """The answer of a field that its form does not name, or whose form is not opened."""
        flags = ctypes.c_float()
        pdfium.FPDFAnnot_GetNumberValue(one, b"Ff", flags)
        if int(flags.value) & _SECRET or self._entry(one, b"FT") not in ("Tx", "Ch"):
            return ""
        return self._entry(one, b"V")

    def _entry(self, one: Any, key: bytes) -> str:
        return self._read(pdfium.FPDFAnnot_GetStringValue, one, key)

    def _read(self, call: Callable[..., int], *arguments: Any) -> str:
        """What a call gives that fills a buffer with UTF-16 and says how many bytes it needs."""
        size = call(*arguments, None, 0)
        held = ctypes.create_string_buffer(size)
        call(*arguments, ctypes.cast(held, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
        text = held.raw.decode("utf-16-le", "ignore").rstrip("\0")[: self._chars]
        self._chars -= len(text)
        return text


def _has_extent(one: Any) -> bool:
    box = pdfium.FS_RECTF()
    known = pdfium.FPDFAnnot_GetRect(one, box)
    return bool(known) and box.left != box.right and box.top != box.bottom
