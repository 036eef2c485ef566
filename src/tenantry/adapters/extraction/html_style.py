"""What an element's own `style` says: CSS Syntax, "parse a list of declarations"."""

from __future__ import annotations

import re

_SIGN = re.compile(
    r"""/\*.*?(?:\*/|\Z)                                   # a comment
      | "(?:[^"\\\n]++|\\.)*"? | '(?:[^'\\\n]++|\\.)*'?      # a string
      | url\(\s*+(?!["'\s])(?:[^)\\]++|\\.)*\)?             # an address without quotes
      | \\. | [;()\[\]{}]""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_DEEPER = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_END = "\0"  # no HTML holds it
_ALONE = frozenset(
    [
        "none",
        "contents",
        "table-row-group",
        "table-header-group",
        "table-footer-group",
        "table-row",
        "table-cell",
        "table-column-group",
        "table-column",
        "table-caption",
        "ruby-base",
        "ruby-text",
        "ruby-base-container",
        "ruby-text-container",
        "inline-block",
        "inline-table",
        "inline-flex",
        "inline-grid",
        "-webkit-box",
        "-webkit-inline-box",
        "-webkit-flex",
        "-webkit-inline-flex",
        "-ms-flexbox",
        "-ms-inline-flexbox",
        "-ms-grid",
        "-ms-inline-grid",
        "inherit",
        "initial",
        "unset",
        "revert",
        "revert-layer",
    ]
)
_TOGETHER = {  # at most one of each
    **dict.fromkeys(("block", "inline", "run-in"), "outside"),
    **dict.fromkeys(("flow", "flow-root", "table", "flex", "grid", "ruby", "math"), "inside"),
    "list-item": "item",
}
_OF_AN_ITEM = frozenset({"block", "inline", "run-in", "flow", "flow-root", "list-item"})


def hides(style: str) -> bool:
    """Whether it ends as `display: none`: the last that is said holds, or the last important."""
    holding, important = "", False
    for one in _declarations(style):
        name, _, value = one.partition(":")
        words = value.lower().replace("!", " ! ").split()
        first = words[-2:] == ["!", "important"]
        said = words[:-2] if first else words
        if name.strip().lower() == "display" and _is_valid(said) and first >= important:
            holding, important = said[0], first
    return holding == "none"


def _is_valid(said: list[str]) -> bool:
    """Whether CSS Display knows it; else it is as if it were not there."""
    if len(said) == 1 and said[0] in _ALONE:
        return True
    kinds = {_TOGETHER.get(word, "") for word in said}
    return (
        len(kinds) == len(said) > 0
        and "" not in kinds
        and ("item" not in kinds or _OF_AN_ITEM.issuperset(said))
    )


def _declarations(style: str) -> list[str]:
    """Without comments, and with a quote for each string: neither they nor brackets end one."""
    parts: list[str] = []
    depth = at = 0
    for found in _SIGN.finditer(style):
        sign = found[0]
        parts.append(style[at : found.start()])
        at = found.end()
        if sign == ";" and depth == 0:
            parts.append(_END)
        else:
            depth = max(0, depth + _DEEPER.get(sign, 0))
            parts.append(" " if sign.startswith("/*") else '"')
    return "".join([*parts, style[at:]]).split(_END)
