"""A page of documentation as headings, paragraphs, items and code, whatever made its HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from selectolax.lexbor import LexborHTMLParser, LexborNode

Kind = Literal["h1", "h2", "h3", "h4", "p", "li", "pre", "row"]

_HEADINGS: dict[str, Kind] = {"h1": "h1", "h2": "h2", "h3": "h3", "h4": "h4", "h5": "h4"}
_CHROME = (
    "script, style, svg, img, button, a.headerlink, div.nosearch, div.navheader, div.navfooter, "
    "div.toc, div.fancy_toc, div.imgcontainer, span.linenos, div.footnotes, div.versionchanged"
)
_INLINE = {"a", "b", "i", "u", "em", "strong", "code", "tt", "span", "acronym", "sup", "sub", "var"}
_INLINE |= {"-text", "big", "small", "font", "q", "kbd", "samp", "cite", "abbr", "dfn"}
_SKIPPED = {"-comment", "hr", "br", "title", "head", "link", "meta"}


@dataclass(frozen=True, slots=True)
class Block:
    kind: Kind
    text: str


def blocks_of(html: str, main: str, *, titled: bool) -> list[Block]:
    """The content under the selector `main`, under one h1.

    The h1 is the page's `<title>` where `titled`, else its first heading.
    """
    tree = LexborHTMLParser(html)
    root = tree.css_first(main) or tree.body
    assert root is not None, "an HTML page has a body"
    for chrome in root.css(_CHROME):
        chrome.decompose()
    found = [block for block in _walk(root) if block.text]
    if titled:
        title = _title(tree)
    else:
        first = next(n for n, block in enumerate(found) if block.kind in _HEADINGS)
        title = found.pop(first).text
    return [
        Block("h1", _without_number(title)),
        *(_lowered(block) for block in found if block.text != title),
    ]


def _lowered(block: Block) -> Block:
    if block.kind not in _HEADINGS:
        return block
    return Block("h2" if block.kind == "h1" else block.kind, _without_number(block.text))


def _without_number(heading: str) -> str:
    """`30.3. Write-Ahead Logging` without its number, which says nothing outside of its book."""
    return re.sub(r"^(?:Chapter\s+)?[0-9A-Z]{0,2}(?:\d+\.)+(?:\d+\.?)*\s+", "", heading).strip("¶ ")


def _title(tree: LexborHTMLParser) -> str:
    node = tree.css_first("title")
    return _plain(node.text()) if node is not None else ""


def _walk(node: LexborNode) -> Iterator[Block]:
    """Blocks in reading order; text that stands loose between blocks becomes a paragraph."""
    loose: list[str] = []
    for child in node.iter(include_text=True):
        tag = child.tag or "-text"
        if tag in _SKIPPED:
            continue
        if tag in _INLINE and not child.css("p, ul, pre, dl, table, h1, h2, h3"):
            loose.append(_text(child))
            continue
        yield Block("p", _plain(" ".join(loose)))
        loose.clear()
        yield from _block(child, tag)
    yield Block("p", _plain(" ".join(loose)))


def _block(node: LexborNode, tag: str) -> Iterator[Block]:
    if tag in _HEADINGS:
        yield Block(_HEADINGS[tag], _plain(_text(node)))
    elif tag == "pre":
        yield Block("pre", node.text().replace("\xa0", " ").strip("\n"))
    elif tag in ("p", "dt"):
        yield Block("p", _plain(_text(node)))
    elif tag == "li" and not node.css("p, pre, ul, ol, table"):
        yield Block("li", _plain(_text(node)))
    elif tag == "tr":
        cells = [_plain(_text(cell)) for cell in node.css("td, th")]
        if len(cells) == 1 or node.css("pre, p + p"):
            yield from _walk(node)
        else:
            yield Block("row", " | ".join(cells))
    else:
        yield from _walk(node)


def _text(node: LexborNode) -> str:
    return node.text(separator="") if node.tag != "-text" else node.text_content or ""


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\xa0", " ")).strip()
