"""Formulas that stand in a page twice: as MathML, and drawn for the eye by a script of theirs."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

from tenantry.adapters.extraction.html_elements import WITHIN_A_LINE

# What KaTeX and the versions of MathJax call their elements, or the ones around these.
_CLASS = re.compile(r"(?:^|\s)(?:katex|katex-html|mjx-[\w-]+|MathJax(?:_\w+)?)(?:\s|$)")
_TAG = "mjx-"


def is_drawn_again(node: LexborNode) -> bool:
    """Whether an element is the copy for the eye of a formula next to it."""
    if node.tag not in WITHIN_A_LINE and not _is_theirs_by_tag(node):
        return False
    around = node.parent
    if not _is_theirs(node) and (around is None or not _is_theirs(around)):
        return False
    return any(_is_formula_alone(one) for one in (_beside(node, -1), _beside(node, 1)))


def _is_theirs(node: LexborNode) -> bool:
    return _is_theirs_by_tag(node) or bool(_CLASS.search(node.attributes.get("class") or ""))


def _is_theirs_by_tag(node: LexborNode) -> bool:
    return (node.tag or "").startswith(_TAG)


def _beside(node: LexborNode, side: int) -> LexborNode | None:
    """What stands there, but for a gap."""
    found = node.prev if side < 0 else node.next
    if found is not None and _is_gap(found):
        found = found.prev if side < 0 else found.next
    return found


def _is_formula_alone(node: LexborNode | None) -> bool:
    if node is None or node.tag == "math":
        return node is not None
    first = node.child
    if first is not None and _is_gap(first):
        first = first.next
    if first is None or first.tag != "math":
        return False
    return _beside(first, 1) is None


def _is_gap(node: LexborNode) -> bool:
    return node.tag == "-text" and not (node.text_content or "").strip()
