"""Word's formulas in a line: 1/2 is not 12, nor x^2 the word x2."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tenantry.adapters.extraction.raised import sign_before_fraction

SPACE = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
Text = Callable[[Any], str]  # of all that stands in an element
# Whole as it is beside another sign: 10^-6 and x/2, but (a+b)/2 and x^(n+1).
_ONE = re.compile(r"[+\-\u2212]?[\w.,]*|\([^()]*\)")
_BETWEEN = {  # what stands between the parts of an element
    **dict.fromkeys(("limLow", "limUpp", "func", "sPre", "mr"), " "),
    "m": "; ",
    "eqArr": "\n",
}


def is_spelled(tag: str) -> bool:
    """Whether an element's parts mean something else when they stand side by side."""
    return tag.startswith(SPACE) and tag.removeprefix(SPACE) in _SPELLED


def spelled(element: Any, end: str, text: Text) -> str:
    """The element in a line, after one that ends so."""
    name = element.tag.removeprefix(SPACE)
    parts = [
        (child.tag.removeprefix(SPACE), text(child))
        for child in element
        if isinstance(child.tag, str) and not child.tag.endswith("Pr")
    ]
    return _SPELLED[name](element, parts, end)


_Parts = list[tuple[str, str]]


def _fraction(element: Any, parts: _Parts, end: str) -> str:
    if _setting(element, "fPr", "type", "bar") == "noBar":  # a over b, of b things a
        return " ".join(text for _, text in parts)
    return sign_before_fraction(end) + "/".join(_grouped(text) for _, text in parts)


def _scripts(element: Any, parts: _Parts, end: str) -> str:
    return "".join(f"^{_grouped(text)}" if name == "sup" else text for name, text in parts)


def _root(element: Any, parts: _Parts, end: str) -> str:
    found = dict(parts)
    return f"{found.get('deg', '')}√{_grouped(found.get('e', ''))}"


def _brackets(element: Any, parts: _Parts, end: str) -> str:
    first, sign, last = (
        _setting(element, "dPr", name, default)
        for name, default in (("begChr", "("), ("sepChr", "|"), ("endChr", ")"))
    )
    return first + sign.join(text for _, text in parts) + last


def _sum(element: Any, parts: _Parts, end: str) -> str:
    *bounds, (_, of) = parts or [("e", "")]
    limits = "".join(
        f"^{_grouped(text)}" if name == "sup" else text for name, text in bounds if text
    )
    return f"{_setting(element, 'naryPr', 'chr', '∫')}{limits} {of}"


def _joined(element: Any, parts: _Parts, end: str) -> str:
    return _BETWEEN[element.tag.removeprefix(SPACE)].join(text for _, text in parts)


def _grouped(text: str) -> str:
    return text if _ONE.fullmatch(text.strip()) else f"({text})"


def _setting(element: Any, settings: str, name: str, default: str) -> str:
    found = element.find(f"{SPACE}{settings}/{SPACE}{name}")
    return default if found is None else str(found.get(f"{SPACE}val", ""))


_SPELLED: Mapping[str, Callable[[Any, _Parts, str], str]] = {
    "f": _fraction,
    **dict.fromkeys(("sSup", "sSub", "sSubSup"), _scripts),
    "rad": _root,
    "d": _brackets,
    "nary": _sum,
    **dict.fromkeys(_BETWEEN, _joined),
}
