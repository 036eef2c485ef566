"""The styles of a DOCX: whether their text is hidden, and which list their paragraphs are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tenantry.adapters.extraction.docx_names import W

BASED_ON_MAX = 64  # styles that one may be based on, each on the next
_NUMBER_MAX = 2**31 - 1  # of `xsd:int`; Python would not write one of thousands of digits
_VALUE = f"{W}val"
_NO = ("0", "false", "off")  # what a setting says that is there and does not hold


@dataclass(frozen=True, slots=True)
class _Style:
    based_on: str
    hidden: bool | None
    list_id: str | None
    level: int | None


class Styles:
    """What `styles.xml` says; nothing where there is none."""

    def __init__(self, root: Any = None) -> None:
        self._styles: dict[str, _Style] = {}
        self._defaults: dict[str, str] = {}
        self._hidden: dict[str, bool] = {}
        self._all_hidden = False
        if root is None:
            return
        defaults = root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr")
        self._all_hidden = bool(setting(defaults, "vanish"))
        for one in root.iterfind(f"{W}style"):
            name = one.get(f"{W}styleId", "")
            if one.get(f"{W}default", "0") not in _NO:
                self._defaults.setdefault(one.get(f"{W}type", ""), name)
            self._styles[name] = _Style(
                value(one, "basedOn"),
                setting(one.find(f"{W}rPr"), "vanish"),
                value(one, "pPr", "numPr", "numId") or None,
                number(value(one, "pPr", "numPr", "ilvl")),
            )

    def of_paragraph(self, paragraph: Any) -> str:
        """The name of its style."""
        return value(paragraph, "pPr", "pStyle") or self._defaults.get("paragraph", "")

    def hides(self, paragraph: str, settings: Any) -> bool:
        """Whether text with these settings, in a paragraph of this style, is hidden.

        What they say themselves holds; else one style hides, and a second one shows again (ISO
        29500-1, 17.7.3, toggle properties).
        """
        said = setting(settings, "vanish")
        if said is not None:
            return said
        run = "" if settings is None else value(settings, "rStyle")
        by_run = self._hides(run or self._defaults.get("character", ""))
        return self._all_hidden or self._hides(paragraph) is not by_run

    def list_of(self, name: str) -> tuple[str | None, int | None]:
        """The list that paragraphs of a style are in, and their level where it says one."""
        list_id = level = None
        for style in self._chain(name):
            level = style.level if level is None else level
            if style.list_id is not None:
                list_id = style.list_id
                break
        return list_id, level

    def _hides(self, name: str) -> bool:
        if name not in self._hidden:
            said = (style.hidden for style in self._chain(name) if style.hidden is not None)
            self._hidden[name] = next(said, False)
        return self._hidden[name]

    def _chain(self, name: str) -> list[_Style]:
        found: list[_Style] = []
        while name in self._styles and len(found) < BASED_ON_MAX:
            found.append(self._styles[name])
            name = found[-1].based_on
        return found


def setting(settings: Any, name: str) -> bool | None:
    """Whether a setting holds; None where nothing is said of it."""
    found = None if settings is None else settings.find(f"{W}{name}")
    return None if found is None else found.get(_VALUE) not in _NO


def value(element: Any, *path: str) -> str:
    """What stands in `w:val` of an element below; empty where there is none."""
    found = element.find("/".join(f"{W}{name}" for name in path))
    return "" if found is None else str(found.get(_VALUE, ""))


def number(text: str) -> int | None:
    """None where it is none: a list is not worth its document."""
    try:
        found = int(text)
    except ValueError:
        return None
    return found if abs(found) <= _NUMBER_MAX else None
