"""What an element's own `style` says: CSS Syntax, "parse a list of declarations"."""

from __future__ import annotations

import re

_SIGN = re.compile(
    r"""/\*.*?(?:\*/|\Z)                                   # a comment
      | "(?:[^"\\\n]|\\.)*+"? | '(?:[^'\\\n]|\\.)*+'?      # a string
      | url\(\s*+(?!["'\s])(?:[^)\\]|\\.)*+\)?             # an address without quotes
      | \\. | [;()\[\]{}]""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_DEEPER = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_END = "\0"  # no HTML holds it
_WORDS = re.compile(r"[a-z -]+")  # else it is invalid, and as if it were not there


def hides(style: str) -> bool:
    """Whether it ends as `display: none`: the last that is said holds, or the last important."""
    holding, important = "", False
    for one in _declarations(style):
        name, _, value = one.partition(":")
        words = value.lower().replace("!", " ! ").split()
        first = words[-2:] == ["!", "important"]
        said = " ".join(words[:-2] if first else words)
        if name.strip().lower() == "display" and _WORDS.fullmatch(said) and first >= important:
            holding, important = said, first
    return holding == "none"


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
