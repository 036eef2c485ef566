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
from tenantry.adapters.extraction.html_lists import ListNumbers
from tenantry.adapters.extraction.html_pictures import WRITTEN, begins_a_line, written_in
from tenantry.adapters.extraction.html_raised import sign_before
from tenantry.adapters.extraction.html_style import hides
from tenantry.adapters.extraction.html_tables import PARTS, Tables
from tenantry.adapters.extraction.html_xml import as_html, is_xhtml
from tenantry.adapters.extraction.plain import decode, printable
from tenantry.adapters.extraction.raised import END_CHARS
from tenantry.domain.errors import Unreadable
from tenantry.domain.upload import check_text

_MAY_BE_LEFT_OUT = (
    '[hidden], [style*="display" i], div[role], dialog:not([open]), [aria-hidden="true"], '
    "object[data]"
)
_PARTS = 2 * END_CHARS  # that they may be spread over, gaps among them
SHADOW_CHARS_MAX = 20_000_000  # of what components hold: each level within another once more
_TEMPLATE = ("<template", "</template>")  # around its attributes and what it holds
_SPACES = re.compile(r"[ \t\r\n\f]+")


def to_text(data: bytes, declared: str) -> str:
    source = decode(data, declared, charset_of_page(data))
    tree = LexborHTMLParser(as_html(source) if is_xhtml(source, declared) else source)
    body = tree.body
    if body is None:
        raise Unreadable("The HTML has no body.")
    text = _Page(tree).text(body)
    # Character references can name what the source may not hold.
    check_text(text, "document")
    return printable(text).strip()


class _Writer:
    """Collects words; spaces and line ends wait until something follows them."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._gap = ""
        self._tight = False
        self._marked = False

    def end(self) -> str:
        """The last few characters, where nothing stands between them and what comes."""
        last = (
            ""
            if self._gap or self._marked
            else "".join(part[-END_CHARS:] for part in self.parts[-_PARTS:])
        )
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

    def mark(self, number: str) -> None:
        """Writes it in the line of what comes, even if that is a paragraph of its own."""
        self._put(number)
        self._marked = True

    def unmark(self) -> None:
        """Nothing came."""
        self._marked = False

    def lines(self, count: int) -> None:
        if self._marked:
            return
        if len(self._gap.strip(" ")) < count:
            self._gap = "\n" * count

    def _put(self, text: str) -> None:
        if self.parts:
            self.parts.append(" " if self._marked else self._gap)
        self._gap, self._tight, self._marked = "", False, False
        self.parts.append(text)


class _Page:
    """A page as it is read. A stack, not recursion: nesting is as deep as its author likes."""

    def __init__(self, tree: LexborHTMLParser) -> None:
        self._trees = [tree]  # kept, for their nodes live by them
        self._left_out = _left_out(tree)
        self._shadow_chars = SHADOW_CHARS_MAX
        self._numbers = ListNumbers()
        self._tables = Tables()
        self._writer = _Writer()
        self._around: list[_Writer] = []  # of cells that are open
        self._preformatted = 0

    def text(self, body: LexborNode) -> str:
        """In reading order."""
        stack: list[tuple[LexborNode, bool]] = [(body, True)]
        while stack:
            node, opening = stack.pop()
            name = node.tag or ""
            if name == "-text":
                self._words(node.text_content or "")
            elif name == "svg":
                stack.extend((one, True) for one in reversed(written_in(node, self._left_out)))
            elif name == "template":
                stack.extend((one, True) for one in reversed(self._shadow(node)))
            elif name not in UNSEEN and node.mem_id not in self._left_out:
                self._element(node, name, opening=opening)
                if opening:
                    stack.append((node, False))
                    stack.extend((child, True) for child in reversed(_children(node)))
        return "".join(self._writer.parts).strip()

    def _words(self, text: str) -> None:
        if self._preformatted:
            self._writer.verbatim(text)
        else:
            self._writer.words(text)

    def _element(self, node: LexborNode, name: str, *, opening: bool) -> None:
        self._tables.saw(name, opening=opening)
        if name in PARTS and self._is_written(node, name, opening=opening):
            return
        _separate(self._writer, node, name, opening=opening)
        if opening and (sign := sign_before(node, name, self._writer.end())):
            self._writer.sign(sign)
        if opening and name == "li" and (number := self._numbers.before(node, self._left_out)):
            self._writer.mark(number)
        if name == "pre":
            self._preformatted += 1 if opening else -1

    def _is_written(self, node: LexborNode, name: str, *, opening: bool) -> bool:
        """Whether a part of a table is done with: its text waits for the table's end."""
        if name == "table":
            if opening:
                self._tables.begin(node)
            else:
                for count, text in self._tables.end():
                    self._writer.lines(count)
                    self._writer.verbatim(text)
            return False
        if not self._tables.reads:
            return False
        if name == "tr":
            if opening:
                self._tables.begin_row()
        elif opening:
            self._around.append(self._writer)
            self._writer = _Writer()
        else:
            text = "".join(self._writer.parts).strip()
            self._writer = self._around.pop()
            self._tables.cell(node, text)
        return True

    def _shadow(self, template: LexborNode) -> list[LexborNode]:
        """What a template holds that is shown where it stands; the parser keeps that apart."""
        mode = (template.attributes.get("shadowrootmode") or "").lower()
        if mode not in ("open", "closed") or self._shadow_chars <= 0:
            return []
        inner = (template.html or "").removeprefix(_TEMPLATE[0]).removesuffix(_TEMPLATE[1])
        self._shadow_chars -= len(inner)
        tree = LexborHTMLParser(f"<x-shadow{inner}</x-shadow>")
        if tree.body is None:
            return []
        self._trees.append(tree)
        self._left_out |= _left_out(tree)
        return _children(tree.body)


def _children(node: LexborNode) -> list[LexborNode]:
    children = []
    child = node.child
    while child is not None:
        children.append(child)
        child = child.next
    return children


def _left_out(tree: LexborHTMLParser) -> set[int]:
    """What is hidden as written, navigation by its role, what shows a formula again, and what
    stands in for an object that is shown. A hidden body a script shows.
    """
    return {
        node.mem_id
        for node in tree.css(_MAY_BE_LEFT_OUT)
        if node.tag != "body" and _is_left_out(node)
    }


def _is_left_out(node: LexborNode) -> bool:
    attributes = node.attributes
    if node.tag == "div" and attributes.get("role") in UNSEEN_ROLES:
        return True
    if node.tag == "dialog" and "open" not in attributes:
        return True
    if node.tag == "object" and "data" in attributes:
        return True
    if attributes.get("aria-hidden") == "true" and is_drawn_again(node):
        return True
    # Browsers find words in what is hidden until found, and show it then.
    if "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found":
        return True
    return hides(attributes.get("style") or "")


def _separate(writer: _Writer, node: LexborNode, name: str, *, opening: bool) -> None:
    if name in CELLS:
        writer.space()
    elif name in LINES or name.lower() in WRITTEN:
        if name == "li" and not opening:
            writer.unmark()
        writer.lines(1)
    elif name == "tspan":
        if opening and begins_a_line(node):
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
