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
_ATTRIBUTES = r"""(?:[^"'<>/]++|"[^"<]*+"|'[^'<]*+'|/(?!>))*"""
# Each goes on to its end or to the text's, what is quoted in a script no further than to the next
# that is, and no value of an attribute holds "<": one pass is all. What is told goes on to "?>" or,
# as HTML's comments by mistake, to the first ">". Parts of a group begin with signs of their own:
# giving one back finds nothing. A possessive group, which says so, Python misreads before 3.11.5.
_SIGN = re.compile(
    rf"""(?P<comment><!--(?:-?>|.*?(?:-->|\Z)))
      | <!\[CDATA\[(?P<quoted>.*?)(?:\]\]>|\Z)
      | (?P<told><\?(?:[^<]*?\?>|[^>]*+(?:>|\Z)))
      | (?P<opening><(?P<verbatim>(?i:script|style|textarea|title))(?=[\s>]){_ATTRIBUTES}>)
        (?P<inner>(?:[^<]++
          | <!\[CDATA\[(?:[^\]<]++|\](?!\]>)|<(?!!\[CDATA\[))*\]\]>
          | <(?!/(?i:(?P=verbatim))[\s/>]))*)
      | <(?P<name>[A-Za-z_][^\s/<>"'=]*+)(?P<attributes>{_ATTRIBUTES})/>""",
    re.DOTALL | re.VERBOSE,
)
_QUOTED = re.compile(r"<!\[CDATA\[(?P<quoted>(?:[^\]<]++|\](?!\]>)|<(?!!\[CDATA\[))*)\]\]>")
_XML = re.compile(r"<\?xml\s")


def is_xhtml(source: str, declared: str) -> bool:
    """Whether its type says so or its first words do. Pages sent as HTML begin so as well."""
    by_type = declared.partition(";")[0].strip().lower() == XHTML
    return by_type or _XML.match(source) is not None


def as_html(source: str) -> str:
    """The same page for a parser of HTML, to which `<script/>` begins what never ends.

    Nothing is asked of the page: of one that is no XML, no text goes.
    """
    return _SIGN.sub(_in_html, source)


def _in_html(found: re.Match[str]) -> str:
    if found["comment"] is not None:
        return found[0]
    if found["quoted"] is not None:
        return _escaped(found)
    if found["told"] is not None:
        return ""
    if found["opening"] is not None:  # its text is no markup to HTML
        return found["opening"] + _QUOTED.sub(_escaped, found["inner"])
    if found["name"].lower() in _VOID:
        return found[0]
    return f"<{found['name']}{found['attributes']}></{found['name']}>"


def _escaped(found: re.Match[str]) -> str:
    return escape(found["quoted"], quote=False)
