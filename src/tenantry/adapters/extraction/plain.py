"""Text and Markdown: decoding, and the one normal form of line ends."""

from __future__ import annotations

import re

from tenantry.adapters.extraction.charsets import decoded
from tenantry.adapters.extraction.content_type import charset
from tenantry.domain.upload import check_text

_LINE_ENDS = re.compile("\r\n?")
_OTHER_LINE_ENDS = re.compile("[\v\f\x85]")
# And the soft hyphen, which is seen at a line's end alone.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad]")


def decode(data: bytes, declared: str, fallback: str = "") -> str:
    """Text by byte order mark, declared charset, the fallback, else UTF-8; strictly. Unreadable."""
    text = decoded(data, charset(declared) or fallback or "utf-8")
    check_text(text, "document")
    return normal(text)


def normal(text: str) -> str:
    return _LINE_ENDS.sub("\n", text)


def printable(text: str) -> str:
    """What a parser gave, without control characters: line ends become one, tabs alone stay;
    and without soft hyphens."""
    return _CONTROLS.sub("", _OTHER_LINE_ENDS.sub("\n", normal(text)))
