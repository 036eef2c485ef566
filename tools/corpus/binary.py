"""Blocks as PDF (through PDFium) and DOCX (through python-docx)."""

from __future__ import annotations

import ctypes
import io
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import docx
import pypdfium2 as pdfium
import pypdfium2.raw as raw

from tools.corpus.blocks import Block

_A4_PT = (595, 842)
_MARGIN_PT = 56
_SIZES_PT = {"h1": 18, "h2": 14, "h3": 12, "h4": 11, "pre": 8}
_BODY_PT = 10
_LEADING = 1.35
_GLYPH_WIDTH = 0.5  # of Helvetica, on average, in units of its size
_MADE = datetime(2026, 11, 23, tzinfo=UTC)
_ASCII = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "—": "-", "–": "-", "…": "..."})


def to_pdf(blocks: Sequence[Block]) -> bytes:
    """A4 pages of selectable text in the standard fonts."""
    document = pdfium.PdfDocument.new()
    fonts = {
        name: raw.FPDFText_LoadStandardFont(document, name.encode())
        for name in ("Helvetica", "Helvetica-Bold", "Courier")
    }
    highest: float = _A4_PT[1] - _MARGIN_PT
    page, top = document.new_page(*_A4_PT), highest
    for font, size_pt, line in _lines(blocks):
        top -= size_pt * _LEADING
        if top < _MARGIN_PT:
            page.gen_content()
            page, top = document.new_page(*_A4_PT), highest - size_pt * _LEADING
        if line:
            _write(document, page, fonts[font], size_pt, line, top)
    page.gen_content()
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


def _lines(blocks: Sequence[Block]) -> Iterator[tuple[str, int, str]]:
    """Each line with its font and size; an empty one after each block."""
    for block in blocks:
        size_pt = _SIZES_PT.get(block.kind, _BODY_PT)
        text = block.text.translate(_ASCII).encode("latin-1", "replace").decode("latin-1")
        if block.kind == "pre":
            font, lines = "Courier", text.splitlines()
        else:
            font = "Helvetica-Bold" if block.kind.startswith("h") else "Helvetica"
            width = int((_A4_PT[0] - 2 * _MARGIN_PT) / (size_pt * _GLYPH_WIDTH))
            lines = textwrap.wrap(("- " if block.kind == "li" else "") + text, width)
        for line in lines:
            yield font, size_pt, line
        yield font, _BODY_PT // 2, ""


def _write(
    document: pdfium.PdfDocument,
    page: pdfium.PdfPage,
    font: object,
    size_pt: int,
    line: str,
    top: float,
) -> None:
    text = raw.FPDFPageObj_CreateTextObj(document, font, size_pt)
    encoded = ctypes.create_string_buffer(line.encode("utf-16-le") + b"\x00\x00")
    assert raw.FPDFText_SetText(text, ctypes.cast(encoded, raw.FPDF_WIDESTRING))
    raw.FPDFPageObj_Transform(text, 1, 0, 0, 1, _MARGIN_PT, top)
    raw.FPDFPage_InsertObject(page, text)


def to_docx(blocks: Sequence[Block]) -> bytes:
    """Headings, lists and paragraphs in Word's built-in styles."""
    document = docx.Document()
    document.core_properties.title = blocks[0].text
    document.core_properties.author = ""
    document.core_properties.created = document.core_properties.modified = _MADE
    for block in blocks:
        if block.kind.startswith("h"):
            document.add_heading(block.text, int(block.kind[1]))
        elif block.kind == "li":
            document.add_paragraph(block.text, style="List Bullet")
        else:
            document.add_paragraph(block.text)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()
