"""HTML to text: the content without navigation, blank lines between blocks, `pre` as it is."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from tenantry.adapters.extraction.plain import decode
from tenantry.domain.errors import Unreadable
from tenantry.domain.upload import check_text

_META_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([a-zA-Z0-9_-]{1,40})""", re.I
)
_META_WITHIN_BYTES = 1_024  # HTML standard, "prescan a byte stream"
_UNSEEN = frozenset(
    {"script", "style", "noscript", "template", "head", "svg", "iframe", "object", "nav", "button"}
)
_UNSEEN_ROLES = frozenset({"navigation", "search"})  # how older generators mark what `nav` says
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "details", "dialog", "div", "dl"),
        *("fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5"),
        *("h6", "header", "hr", "html", "main", "ol", "p", "pre", "section", "summary"),
        *("table", "tbody", "thead", "tfoot", "ul"),
    }
)
_LINES = frozenset({"br", "tr", "li", "dt", "dd"})
_CELLS = frozenset({"td", "th"})
_SPACES = re.compile(r"[ \t\r\n\f]+")


def to_text(data: bytes, declared: str) -> str:
    source = decode(data, declared, _meta_charset(data))
    body = LexborHTMLParser(source).body
    if body is None:
        raise Unreadable("The HTML has no body.")
    text = _read(body)
    # Character references can name what the source may not hold.
    check_text(text, "document")
    return text


def _meta_charset(data: bytes) -> str:
    """What a page says of itself; one that could be read for it is not in UTF-16 (the same)."""
    found = _META_CHARSET.search(data[:_META_WITHIN_BYTES])
    stated = found.group(1).decode().lower() if found else ""
    return "utf-8" if stated.startswith("utf-16") else stated


class _Writer:
    """Collects words; spaces and line ends wait until something follows them."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._gap = ""

    def words(self, text: str) -> None:
        collapsed = _SPACES.sub(" ", text)
        if collapsed.startswith(" "):
            self.space()
        if collapsed.strip(" "):
            self._put(collapsed.strip(" "))
            if collapsed.endswith(" "):
                self.space()

    def verbatim(self, text: str) -> None:
        if text:
            self._put(text)

    def space(self) -> None:
        self._gap = self._gap or " "

    def lines(self, count: int) -> None:
        if len(self._gap.strip(" ")) < count:
            self._gap = "\n" * count

    def _put(self, text: str) -> None:
        if self.parts:
            self.parts.append(self._gap)
        self._gap = ""
        self.parts.append(text)


def _read(body: LexborNode) -> str:
    """Text in reading order. A stack, not recursion: nesting is as deep as its author likes."""
    writer = _Writer()
    preformatted = 0
    stack: list[tuple[LexborNode, bool]] = [(body, True)]
    while stack:
        node, opening = stack.pop()
        name = node.tag or ""
        if name == "-text":
            text = node.text_content or ""
            if preformatted:
                writer.verbatim(text)
            else:
                writer.words(text)
            continue
        if name in _UNSEEN or (name == "div" and node.attributes.get("role") in _UNSEEN_ROLES):
            continue
        _separate(writer, name)
        if name == "pre":
            preformatted += 1 if opening else -1
        if opening:
            stack.append((node, False))
            stack.extend((child, True) for child in reversed(_children(node)))
    return "".join(writer.parts).strip()


def _children(node: LexborNode) -> list[LexborNode]:
    children = []
    child = node.child
    while child is not None:
        children.append(child)
        child = child.next
    return children


def _separate(writer: _Writer, name: str) -> None:
    if name in _CELLS:
        writer.space()
    elif name in _LINES:
        writer.lines(1)
    elif name in _BLOCKS:
        writer.lines(2)
