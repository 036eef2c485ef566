"""DOCX to text: body, then foot- and endnotes. Runs in the worker process only."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from tenantry.adapters.extraction.docx_words import blocks, notes
from tenantry.adapters.extraction.plain import normal
from tenantry.adapters.extraction.worker_limits import TEXT_CHARS_MAX
from tenantry.domain.errors import TooLarge, Unreadable, UnsupportedMedia

ENTRIES_MAX = 4_096
UNCOMPRESSED_BYTES_MAX = 200 * 1024 * 1024
RATIO_MAX = 200  # XML compresses 10 to 30 times; a bomb a thousand times
RATIO_FROM_BYTES = 1024 * 1024  # below this a high ratio harms nobody
_MAIN_PART = "word/document.xml"
_NOTES = ("footnotes", "endnotes")


def to_text(data: bytes) -> str:
    check_archive(data)
    # Imported late: half a second, and never in the gateway's own process.
    from docx import Document
    from docx.opc.exceptions import OpcError

    try:
        document: Any = Document(io.BytesIO(data))
        pieces: list[str] = []
        chars = 0
        for piece in _pieces(document):
            chars += len(piece) + 1
            if chars > TEXT_CHARS_MAX:
                raise TooLarge(f"The DOCX holds more than {TEXT_CHARS_MAX:,} characters of text.")
            pieces.append(piece)
    except (OpcError, zipfile.BadZipFile, KeyError, ValueError, SyntaxError) as error:
        # lxml's XMLSyntaxError is a SyntaxError.
        raise Unreadable("The DOCX is damaged and cannot be read.") from error
    return normal("\n".join(pieces)).replace("\x00", "").strip()


def check_archive(data: bytes) -> None:
    """Refuse bombs by the archive's own directory, before anything is unpacked."""
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        raise Unreadable("The DOCX is damaged and cannot be opened.") from None
    if len(entries) > ENTRIES_MAX:
        raise Unreadable(f"The DOCX holds more than {ENTRIES_MAX} parts.")
    total = 0
    for entry in entries:
        if entry.flag_bits & 1:
            raise Unreadable("The DOCX is encrypted: save it without a password.")
        total += entry.file_size
        bound = RATIO_MAX * max(entry.compress_size, 1)
        if entry.file_size > RATIO_FROM_BYTES and entry.file_size > bound:
            raise Unreadable("The DOCX unpacks to far more than it holds: refused as a zip bomb.")
    if total > UNCOMPRESSED_BYTES_MAX:
        raise Unreadable("The DOCX unpacks to far more than it holds: refused as a zip bomb.")
    if _MAIN_PART not in {entry.filename for entry in entries}:
        raise UnsupportedMedia("The file is declared as DOCX, but it is another kind of archive.")


def _pieces(document: Any) -> Iterator[str]:
    from docx.oxml import parse_xml

    yield from blocks(document.element.body)
    related = [one for one in document.part.rels.values() if not one.is_external]
    for kind in _NOTES:
        for one in related:
            if one.reltype.endswith(f"/{kind}"):
                yield from notes(parse_xml(one.target_part.blob))
