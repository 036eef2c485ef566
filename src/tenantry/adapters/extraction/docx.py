"""DOCX to text: body, then foot- and endnotes. Runs in the worker process only."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from tenantry.adapters.extraction.docx_package import part, related
from tenantry.adapters.extraction.docx_words import DOCUMENT, blocks, notes
from tenantry.adapters.extraction.plain import printable
from tenantry.adapters.extraction.worker_limits import TEXT_CHARS_MAX
from tenantry.domain.errors import TooLarge, Unreadable, UnsupportedMedia

ENTRIES_MAX = 4_096
UNCOMPRESSED_BYTES_MAX = 200 * 1024 * 1024
RATIO_MAX = 200  # XML compresses 10 to 30 times; a bomb a thousand times
RATIO_FROM_BYTES = 1024 * 1024  # below this a high ratio harms nobody
_NOTES = ("footnotes", "endnotes")
_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError),  # of the archive
    *(KeyError, ValueError, SyntaxError),  # of what it holds: lxml's own is a SyntaxError
)


def to_text(data: bytes) -> str:
    check_archive(data)
    pieces: list[str] = []
    chars = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for piece in _pieces(archive):
                chars += len(piece) + 1
                if chars > TEXT_CHARS_MAX:
                    raise TooLarge(
                        f"The DOCX holds more than {TEXT_CHARS_MAX:,} characters of text."
                    )
                pieces.append(piece)
    except _DAMAGES as error:
        raise Unreadable("The DOCX is damaged and cannot be read.") from error
    return printable("\n".join(pieces)).strip()


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


def _pieces(archive: zipfile.ZipFile) -> Iterator[str]:
    main = related(archive, "").get("officeDocument")
    document: Any = part(archive, main) if main else None
    if not main or document.tag != DOCUMENT:
        raise UnsupportedMedia("The file is declared as DOCX, but it is another kind of archive.")
    yield from blocks(document)
    parts = related(archive, main)
    for kind in _NOTES:
        if kind in parts:
            yield from notes(part(archive, parts[kind]))
