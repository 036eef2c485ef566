"""The words in a picture that is part of a page: what SVG writes, not what it is called."""

from __future__ import annotations

from selectolax.lexbor import LexborNode

WRITTEN = frozenset({"text", "foreignobject"})
_NOT_DRAWN = frozenset(
    {
        *("title", "desc", "metadata", "defs", "symbol", "marker", "pattern", "mask"),
        *("clippath", "script", "style"),
    }
)
_PLACED = frozenset({"x", "y", "dy"})  # what begins a line of its own in a text


def written_in(picture: LexborNode, left_out: set[int]) -> list[LexborNode]:
    """Its texts, in their order, each to be read like a line of a page."""
    found: list[LexborNode] = []
    waiting = [picture]
    while waiting:
        node = waiting.pop()
        name = (node.tag or "").lower()
        hidden = name in _NOT_DRAWN or node.mem_id in left_out
        if hidden or node.attributes.get("display") == "none":
            continue
        if name in WRITTEN:
            found.append(node)
            continue
        waiting.extend(_drawn(node, name))
    return found


def _drawn(node: LexborNode, name: str) -> list[LexborNode]:
    """What stands in it, the last first. Of a `switch` one alternative is drawn."""
    inner: list[LexborNode] = []
    child = node.last_child
    while child is not None:
        if not (child.tag or "-").startswith("-"):
            inner.append(child)
        child = child.prev
    return inner[-1:] if name == "switch" else inner


def begins_a_line(span: LexborNode) -> bool:
    """Whether a `tspan` stands elsewhere than behind what is before it."""
    return not _PLACED.isdisjoint(span.attributes)
