"""XHTML in the words of HTML: what XML closes within its own tag, and what it quotes as a whole."""

from __future__ import annotations

import re
from html import escape

from tenantry.adapters.extraction.content_type import XHTML

_VOID = frozenset(
    {
        *("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img"),
        *("input", "keygen", "link", "meta", "param", "source", "track", "wbr"),
    }
)
# Each goes on to its end or to the text's, and no value of an attribute holds "<": one pass is all.
_SIGN = re.compile(
    r"""(?P<comment><!--.*?(?:-->|\Z))
      | <!\[CDATA\[(?P<quoted>.*?)(?:\]\]>|\Z)
      | (?P<told><\?.*?(?:\?>|\Z))
      | <(?P<name>[A-Za-z_][^\s/<>"'=]*+)
        (?P<attributes>(?:[^"'<>/]++|"[^"<]*+"|'[^'<]*+'|/(?!>))*+)/>""",
    re.DOTALL | re.VERBOSE,
)


def is_xhtml(source: str, declared: str) -> bool:
    """Whether its type says so or its first words do. Pages sent as HTML begin so as well."""
    return declared.partition(";")[0].strip().lower() == XHTML or source.startswith("<?xml")


def as_html(source: str) -> str:
    """The same page for a parser of HTML, to which `<script/>` begins what never ends.

    Nothing is asked of the page: of one that is no XML, no text goes.
    """
    return _SIGN.sub(_in_html, source)


def _in_html(found: re.Match[str]) -> str:
    if found["comment"] is not None:
        return found[0]
    if found["quoted"] is not None:
        return escape(found["quoted"], quote=False)
    if found["told"] is not None:
        return ""
    if found["name"].lower() in _VOID:
        return found[0]
    return f"<{found['name']}{found['attributes']}></{found['name']}>"
