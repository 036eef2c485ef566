"""Exponents, fractions and marks of notes, which plain text would run into what they stand at."""

from __future__ import annotations

from selectolax.lexbor import LexborNode

from tenantry.adapters.extraction.raised import (
    FRACTION_SIGNS,
    sign_before_fraction,
    sign_before_raised,
)

_DEPTH = 8  # how far within an element its first text is looked for
_IN_MATHS = {"msup": ("", "^"), "mfrac": ("", "/"), "msubsup": ("", "", "^")}


def sign_before(node: LexborNode, name: str, end: str) -> str:
    """What to write before an element's text, after a line that ends so: "^", "/", a space or "".

    `10<sup>6</sup>` is not 106, nor is `rule<sup>1</sup>` the word rule1.
    """
    parent = node.parent
    if parent is not None and parent.tag in _IN_MATHS:
        signs, place = _IN_MATHS[parent.tag], _place(node)
        return signs[place] if place < len(signs) else ""
    if name == "mfrac":
        return sign_before_fraction(end)
    if name != "sup" or not end:
        return ""
    above, linked = _first_text(node)
    return sign_before_raised(end, above, linked=linked, divided=_over_another(node))


def _place(node: LexborNode) -> int:
    """How many elements stand before it; three are as many as matter."""
    place, before = 0, node.prev
    while before is not None and place < 3:
        place += not (before.tag or "-").startswith("-")
        before = before.prev
    return place


def _first_text(node: LexborNode) -> tuple[str, bool]:
    """Trimmed, and whether it is a link."""
    linked = node.parent is not None and node.parent.tag == "a"
    inner: LexborNode | None = node
    for _ in range(_DEPTH):
        if inner is None:
            break
        text = (inner.text_content or "").strip() if inner.tag == "-text" else ""
        if text:
            return text, linked
        linked = linked or inner.tag == "a"
        inner = inner.next if inner.tag == "-text" else inner.child
    return "", linked


def _over_another(node: LexborNode) -> bool:
    """Whether it is the upper half of a fraction: `3<sup>1</sup>/<sub>2</sub>` is 3 1/2."""
    sign = node.next
    below = None if sign is None else sign.next
    return (
        sign is not None
        and below is not None
        and sign.tag == "-text"
        and (sign.text_content or "").strip() in FRACTION_SIGNS
        and below.tag == "sub"
    )
