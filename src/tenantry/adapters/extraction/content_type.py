"""What a file is: what its uploader says, what its name says, and what its bytes say."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from tenantry.domain.errors import Unreadable, UnsupportedMedia
from tenantry.domain.upload import STRING_TYPE

TEXT = "text/plain"
MARKDOWN = "text/markdown"
HTML = "text/html"
XHTML = "application/xhtml+xml"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SUPPORTED = (TEXT, MARKDOWN, HTML, PDF, DOCX)

_ALIASES = {
    "text/x-markdown": MARKDOWN,
    XHTML: HTML,
    "application/x-pdf": PDF,
}
_XHTML_EXTENSIONS = (".xhtml", ".xht")
_EXTENSIONS = {
    ".txt": TEXT,
    ".text": TEXT,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".html": HTML,
    ".htm": HTML,
    **dict.fromkeys(_XHTML_EXTENSIONS, HTML),
    ".pdf": PDF,
    ".docx": DOCX,
}
_UNDECLARED = ("", "application/octet-stream", "binary/octet-stream")
_PDF_WITHIN_BYTES = 1_024  # readers accept a header that late (ISO 32000-1 annex H.3.4.1)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = b"PK\x03\x04"
_RTF, _RTF_START = "application/rtf", b"{\\rtf"
_PDF_END = re.compile(rb"startxref\s+\d+\s*%%EOF")


def resolve(data: bytes, declared: str, file_name: str) -> str:
    """One of `SUPPORTED`. UnsupportedMedia for others, and where the bytes are something else."""
    if not data:
        raise Unreadable("The document is empty.")
    stated = declared.partition(";")[0].strip().lower()
    stated = _ALIASES.get(stated, stated)
    if stated in _UNDECLARED:
        stated = (
            _EXTENSIONS.get(PurePosixPath(file_name).suffix.lower(), "") or _sniff(data) or TEXT
        )
    if stated not in SUPPORTED:
        raise UnsupportedMedia(
            f"The content type {stated[:80]} is not supported: send text, Markdown, HTML, PDF or "
            "DOCX."
        )
    if stated == PDF and b"%PDF-" not in data[:_PDF_WITHIN_BYTES]:
        raise UnsupportedMedia("The file is declared as PDF, but it is none.")
    if stated == DOCX and data.startswith(_OLE):
        raise Unreadable("The DOCX is encrypted, or it is an old .doc: save it without a password.")
    if stated == DOCX and not data.startswith(_ZIP):
        raise UnsupportedMedia("The file is declared as DOCX, but it is none.")
    if declared == STRING_TYPE and not file_name:
        return TEXT  # a string is no file, whatever it begins with
    if stated in (TEXT, MARKDOWN, HTML) and _sniff(data) and not _only_begins_so(data):
        raise UnsupportedMedia(
            f"The file is declared as {stated}, but its bytes are a binary file."
        )
    return stated


def of_page(declared: str, file_name: str) -> str:
    """The content type as declared, but XHTML's where the name alone says that it is some."""
    if PurePosixPath(file_name).suffix.lower() not in _XHTML_EXTENSIONS:
        return declared
    _, semicolon, parameters = declared.partition(";")
    return f"{XHTML}{semicolon}{parameters}"


def charset(declared: str) -> str:
    """The charset parameter of a content type, lower case; empty where absent."""
    for parameter in declared.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def _sniff(data: bytes) -> str:
    """The type that the first bytes announce of a file that is no text, or nothing."""
    start = data[:16].lstrip()
    if start.startswith(b"%PDF-"):
        return PDF
    if data.startswith((_ZIP, _OLE)):
        return DOCX
    if data.startswith(_RTF_START):
        return _RTF
    return ""


def _only_begins_so(data: bytes) -> bool:
    """Whether bytes that begin as a binary file's are text: an archive holds NUL, a PDF its end."""
    return b"\x00" not in data and _PDF_END.search(data) is None
