"""DOCX to text: body, then foot- and endnotes. Runs in the worker process only."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from tenantry.adapters.extraction import html, plain
from tenantry.adapters.extraction.content_type import DOCX, HTML, XHTML
from tenantry.adapters.extraction.docx_numbers import Numbers
from tenantry.adapters.extraction.docx_package import (
    Package,
    content_type,
    part,
    related,
    relations,
)
from tenantry.adapters.extraction.docx_styles import Styles
from tenantry.adapters.extraction.docx_words import DOCUMENT, Words
from tenantry.adapters.extraction.plain import printable
from tenantry.adapters.extraction.worker_limits import TEXT_CHARS_MAX
from tenantry.domain.errors import TooLarge, Unreadable, UnsupportedMedia

ENTRIES_MAX = 4_096
CHUNK_DEPTH_MAX = 1  # files in a file in a file are refused
_PAGES = (HTML, XHTML)
_DOCUMENTS = (
    DOCX,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
)
_NOTES = ("footnotes", "endnotes")
_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError),  # of the archive
    *(KeyError, ValueError, SyntaxError),  # of what it holds: lxml's own is a SyntaxError
)


def to_text(data: bytes, depth: int = 0) -> str:
    """Of one that stands in another, `depth` is in how many."""
    check_archive(data)
    pieces: list[str] = []
    chars = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for piece in _pieces(Package(archive), depth):
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
    """Refuse by the archive's own directory what no document is, before anything is unpacked."""
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        raise Unreadable("The DOCX is damaged and cannot be opened.") from None
    if len(entries) > ENTRIES_MAX:
        raise Unreadable(f"The DOCX holds more than {ENTRIES_MAX} parts.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Unreadable("The DOCX is encrypted: save it without a password.")


def _pieces(package: Package, depth: int) -> Iterator[str]:
    main = related(package, "").get("officeDocument")
    document: Any = part(package, main) if main else None
    if not main or document.tag != DOCUMENT:
        raise UnsupportedMedia("The file is no DOCX, but another kind of archive.")
    parts = related(package, main)
    styles = Styles(_optional(package, parts, "styles"))
    numbers = Numbers(styles, _optional(package, parts, "numbering"))
    yield from Words(styles, numbers, partial(_chunk, package, main, depth)).blocks(document)
    for kind in _NOTES:
        if kind in parts:
            words = Words(styles, numbers, partial(_chunk, package, parts[kind], depth))
            yield from words.notes(part(package, parts[kind]))


def _optional(package: Package, parts: Mapping[str, str], kind: str) -> Any:
    name = parts.get(kind)
    return part(package, name) if name is not None and name in package else None


def _chunk(package: Package, source: str, depth: int, id: str) -> str:
    """The text of a file that stands in another as it is, until Word opens and saves that one."""
    name = next((name for _, one, name in relations(package, source) if one == id), None)
    if name is None:
        return ""  # outside of the file
    kind = content_type(package, name)
    if kind in _PAGES:
        return html.to_text(package.read(name), kind)
    if kind == "text/plain":
        return plain.decode(package.read(name), kind)
    if kind in _DOCUMENTS and depth < CHUNK_DEPTH_MAX:
        return to_text(package.read(name), depth + 1)
    raise Unreadable(
        f"The DOCX holds a file of the type {kind[:80] or 'none'} that Word has not taken in yet: "
        "open it in Word and save it."
    )
