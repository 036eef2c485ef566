"""HTML to text: the content without navigation, blank lines between blocks, `pre` as it is."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from tenantry.adapters.extraction.html_charset import charset_of_page
from tenantry.adapters.extraction.html_elements import (
    BLOCKS,
    CELLS,
    LINES,
    UNSEEN,
    UNSEEN_ROLES,
    WITHIN_A_LINE,
)
from tenantry.adapters.extraction.html_formulas import is_drawn_again
from tenantry.adapters.extraction.html_raised import sign_before
from tenantry.adapters.extraction.html_style import hides
from tenantry.adapters.extraction.plain import decode, printable
from tenantry.adapters.extraction.raised import END_CHARS
from tenantry.domain.errors import Unreadable
from tenantry.domain.upload import check_text

_MAY_BE_LEFT_OUT = (
    '[hidden], [style*="display" i], div[role], dialog:not([open]), [aria-hidden="true"]'
)
_PARTS = 2 * END_CHARS  # that they may be spread over, gaps among them
_SPACES = re.compile(r"[ \t\r\n\f]+")


def to_text(data: bytes, declared: str) -> str:
    source = decode(data, declared, charset_of_page(data))
    tree = LexborHTMLParser(source)
    body = tree.body
    if body is None:
        raise Unreadable("The HTML has no body.")
    text = _read(body, _left_out(tree))
    # Character references can name what the source may not hold.
    check_text(text, "document")
    return printable(text).strip()


class _Writer:
    """Collects words; spaces and line ends wait until something follows them."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._gap = ""
        self._tight = False

    def end(self) -> str:
        """The last few characters, where nothing stands between them and what comes."""
        last = "" if self._gap else "".join(part[-END_CHARS:] for part in self.parts[-_PARTS:])
        return last[-END_CHARS:]

    def sign(self, sign: str) -> None:
        """Joins what comes to what was: no space stands on either side."""
        self._gap = ""
        self._put(sign)
        self._tight = True

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
        self._gap = self._gap or ("" if self._tight else " ")

    def lines(self, count: int) -> None:
        if len(self._gap.strip(" ")) < count:
            self._gap = "\n" * count

    def _put(self, text: str) -> None:
        if self.parts:
            self.parts.append(self._gap)
        self._gap, self._tight = "", False
        self.parts.append(text)


def _read(body: LexborNode, left_out: frozenset[int]) -> str:
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
        if name in UNSEEN or (left_out and node.mem_id in left_out):
            continue
        _separate(writer, node, name)
        if opening and (sign := sign_before(node, name, writer.end())):
            writer.sign(sign)
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


def _left_out(tree: LexborHTMLParser) -> frozenset[int]:
    """What is hidden as written, navigation by its role, and what shows a formula again. A hidden
    body a script shows.
    """
    return frozenset(
        node.mem_id
        for node in tree.css(_MAY_BE_LEFT_OUT)
        if node.tag != "body" and _is_left_out(node)
    )


def _is_left_out(node: LexborNode) -> bool:
    attributes = node.attributes
    if node.tag == "div" and attributes.get("role") in UNSEEN_ROLES:
        return True
    if node.tag == "dialog" and "open" not in attributes:
        return True
    if attributes.get("aria-hidden") == "true" and is_drawn_again(node):
        return True
    # Browsers find words in what is hidden until found, and show it then.
    if "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found":
        return True
    return hides(attributes.get("style") or "")


def _separate(writer: _Writer, node: LexborNode, name: str) -> None:
    if name in CELLS:
        writer.space()
    elif name in LINES:
        writer.lines(1)
    elif name in BLOCKS:
        writer.lines(2)
    elif name not in WITHIN_A_LINE and _beside_another(node):
        writer.lines(1)


def _beside_another(node: LexborNode) -> bool:
    """Whether an element stands next to it. Within text, an unknown one is part of the text."""
    before, after = node.prev, node.next
    while before is not None and before.tag == "-comment":
        before = before.prev
    while after is not None and after.tag == "-comment":
        after = after.next
    return any(one is not None and one.tag != "-text" for one in (before, after))
