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
_OFFICE = "application/vnd.openxmlformats-officedocument"
_XLSX, _PPTX = f"{_OFFICE}.spreadsheetml.sheet", f"{_OFFICE}.presentationml.presentation"
_OASIS = "application/vnd.oasis.opendocument"
_EPUB, _ARCHIVE = "application/epub+zip", "application/zip"
_RTF, _RTF_START = "application/rtf", b"{\\rtf"
# Names that say of a file that it is none of the above. One that is not here either says nothing.
_FOREIGN = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".eml": "message/rfc822",
    ".msg": "application/vnd.ms-outlook",
    ".rtf": _RTF,
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": _XLSX,
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": _PPTX,
    ".odt": f"{_OASIS}.text",
    ".ods": f"{_OASIS}.spreadsheet",
    ".odp": f"{_OASIS}.presentation",
    ".epub": _EPUB,
    ".zip": _ARCHIVE,
    ".gz": "application/gzip",
    ".tar": "application/x-tar",
    ".7z": "application/x-7z-compressed",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
}
_UNDECLARED = ("", "application/octet-stream", "binary/octet-stream")
_PDF_WITHIN_BYTES = 1_024  # readers accept a header that late (ISO 32000-1 annex H.3.4.1)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = b"PK\x03\x04"
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    _RTF_START: _RTF,
    _OLE: DOCX,  # with a password, or a .doc
}
# How an archive of EPUB or OpenDocument begins: a header of 30 bytes, a name, its type as it is.
_NAMED_IN_ARCHIVE, _TYPE_IN_ARCHIVE = b"mimetype", re.compile(rb"[a-z]+/[a-z0-9.+-]{1,80}")
_PDF_END = re.compile(rb"startxref\s+\d+\s*%%EOF")


def resolve(data: bytes, declared: str, file_name: str) -> str:
    """One of `SUPPORTED`. UnsupportedMedia for others, and where the bytes are something else."""
    if not data:
        raise Unreadable("The document is empty.")
    stated, how = declared.partition(";")[0].strip().lower(), "declared"
    stated = _ALIASES.get(stated, stated)
    if stated in _UNDECLARED:
        extension, how = PurePosixPath(file_name).suffix.lower(), "named"
        named = _EXTENSIONS.get(extension) or _FOREIGN.get(extension)
        stated = named or _sniff(data) or TEXT
    if stated not in SUPPORTED:
        raise UnsupportedMedia(
            f"The content type {stated[:80]} is not supported: send text, Markdown, HTML, PDF or "
            "DOCX."
        )
    if stated == PDF and b"%PDF-" not in data[:_PDF_WITHIN_BYTES]:
        raise UnsupportedMedia(f"The file is {how} as PDF, but it is none.")
    if stated == DOCX and data.startswith(_OLE):
        raise Unreadable("The DOCX is encrypted, or it is an old .doc: save it without a password.")
    if stated == DOCX and not data.startswith(_ZIP):
        raise UnsupportedMedia(f"The file is {how} as DOCX, but it is none.")
    if declared == STRING_TYPE and not file_name:
        return TEXT  # a string is no file, whatever it begins with
    if stated in (TEXT, MARKDOWN, HTML) and _sniff(data) and not _only_begins_so(data):
        raise UnsupportedMedia(f"The file is {how} as {stated}, but its bytes are a binary file.")
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
    if data.startswith(_ZIP):
        return _of_archive(data)
    return next((kind for magic, kind in _STARTS.items() if data.startswith(magic)), "")


def _of_archive(data: bytes) -> str:
    """What an archive seems to hold, by names that stand in it in clear: nothing is unpacked."""
    if data[30:38] == _NAMED_IN_ARCHIVE:
        first = 38 + int.from_bytes(data[28:30], "little")
        found = _TYPE_IN_ARCHIVE.match(data, first)
        return found[0].decode() if found else _ARCHIVE
    if b"[Content_Types].xml" not in data:
        return _ARCHIVE
    if b"word/" in data:
        return DOCX
    if b"xl/workbook" in data:
        return _XLSX
    return _PPTX if b"ppt/presentation" in data else DOCX


def _only_begins_so(data: bytes) -> bool:
    """Whether bytes that begin as a binary file's are text: an archive holds NUL, a PDF its end."""
    return b"\x00" not in data and _PDF_END.search(data) is None
