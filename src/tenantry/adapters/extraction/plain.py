"""Text and Markdown: decoding, and the one normal form of line ends."""

from __future__ import annotations

import codecs
import re

from tenantry.adapters.extraction.content_type import charset
from tenantry.domain.errors import Unreadable
from tenantry.domain.upload import check_text

_CODECS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "utf-16": "utf-16",
    # Whoever says Latin-1 means this, as browsers read it (WHATWG Encoding, names and labels): what
    # differs are control characters on one side, quotes, dashes and the euro on the other.
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "windows-1252": "cp1252",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_ENDS = re.compile("\r\n?")


def decode(data: bytes, declared: str, fallback: str = "") -> str:
    """Text by byte order mark, declared charset, the fallback, else UTF-8; strictly. Unreadable."""
    stated = charset(declared) or fallback
    codec = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    if codec is None:
        codec = _CODECS.get(stated or "utf-8")
    if codec is None:
        raise Unreadable(f"The charset {stated[:40]} is not supported: send UTF-8.")
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        named = stated or "utf-8"
        raise Unreadable(
            f"The text is not valid {named}; state its charset or send UTF-8."
        ) from None
    check_text(text, "document")
    return normal(text)


def normal(text: str) -> str:
    return _LINE_ENDS.sub("\n", text)
