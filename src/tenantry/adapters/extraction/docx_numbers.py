"""The numbers that Word writes before headings and items of lists: no text of a DOCX holds them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tenantry.adapters.extraction.docx_names import COMPATIBLE, W
from tenantry.adapters.extraction.docx_styles import Styles, number, setting, value
from tenantry.adapters.extraction.numerals import ordinal, repeated_letter, roman

LEVELS = 9
TEXT_CHARS_MAX = 100  # of what stands around a number
_PLACE = re.compile("%([1-9])")
_FORMATS: Mapping[str, Callable[[int], str]] = {  # others, such as circles around them, in digits
    "decimalZero": lambda count: f"{count:02}",
    "lowerRoman": roman,
    "upperRoman": lambda count: roman(count).upper(),
    "lowerLetter": repeated_letter,
    "upperLetter": lambda count: repeated_letter(count).upper(),
    "ordinal": ordinal,
    "none": lambda count: "",
}


@dataclass(frozen=True, slots=True)
class _Level:
    start: int = 1
    format: str = "decimal"
    text: str = ""
    restarts: int | None = None  # by a level below this one; 0: by none
    in_digits: bool = False
    style: str = ""


@dataclass(slots=True)
class _List:
    """One in the document; lists of one kind count on from each other."""

    kind: str
    levels: Mapping[int, _Level]
    starts: dict[int, int] = field(default_factory=dict)  # not used yet


class Numbers:
    """Counts paragraphs as they come. What `numbering.xml` says; no numbers where there is none."""

    def __init__(self, styles: Styles, root: Any = None) -> None:
        self._styles = styles
        self._lists: dict[str, _List] = {}
        self._counts: dict[str, dict[int, int]] = {}
        if root is not None:
            self._read(root)

    def before(self, paragraph: Any) -> str:
        """What stands before a paragraph, which is counted; empty for a bullet and for none."""
        list_id, level = self._place(paragraph)
        found = self._lists.get(list_id)
        if found is None or level not in found.levels:
            return ""
        counts = self._counts.setdefault(found.kind, {})
        if level in found.starts:
            counts[level] = found.starts.pop(level)
        else:
            counts[level] = counts.get(level, found.levels[level].start - 1) + 1
        for deeper in [one for one in counts if one > level]:
            restarts = found.levels.get(deeper, _Level()).restarts
            if restarts is None or level < restarts:
                del counts[deeper]
        return _written(found.levels, level, counts)

    def _place(self, paragraph: Any) -> tuple[str, int]:
        own_level = number(value(paragraph, "pPr", "numPr", "ilvl"))
        own = value(paragraph, "pPr", "numPr", "numId")
        if own:
            return own, own_level or 0
        style = self._styles.of_paragraph(paragraph)
        list_id, level = self._styles.list_of(style)
        if list_id is None:
            return "", 0
        levels = self._lists[list_id].levels if list_id in self._lists else {}
        linked = (place for place, one in levels.items() if one.style == style)
        return list_id, next(linked, level or 0) if own_level is None else own_level

    def _read(self, root: Any) -> None:
        kinds: dict[str, dict[int, _Level]] = {}
        links: dict[str, str] = {}
        for one in root.iterfind(f"{W}abstractNum"):
            kind = one.get(f"{W}abstractNumId", "")
            kinds[kind] = _levels(one)
            links[kind] = value(one, "numStyleLink")
        for one in root.iterfind(f"{W}num"):
            kind = value(one, "abstractNumId")
            levels = dict(kinds.get(kind, {}))
            starts = {}
            for other in one.iterfind(f"{W}lvlOverride"):
                levels |= _levels(other)
                place = number(other.get(f"{W}ilvl", ""))
                start = number(value(other, "startOverride"))
                if start is not None and place is not None:
                    starts[place] = start
            self._lists[one.get(f"{W}numId", "")] = _List(kind, levels, starts)
        for one in self._lists.values():
            if links.get(one.kind):  # a style of lists: what it says of its own list
                styled = self._lists.get(self._styles.list_of(links[one.kind])[0] or "")
                if styled is not None:
                    one.levels = {**styled.levels, **one.levels}


def _levels(element: Any) -> dict[int, _Level]:
    found: dict[int, _Level] = {}
    for one in element.iterfind(f"{W}lvl"):
        place = number(one.get(f"{W}ilvl", "")) or 0
        if 0 <= place < LEVELS:
            chosen = one.find(f"{COMPATIBLE}AlternateContent/{COMPATIBLE}Fallback")
            start = number(value(one, "start"))
            found[place] = _Level(
                0 if start is None else start,
                value(one, "numFmt")
                or (value(chosen, "numFmt") if chosen is not None else "")
                or "decimal",
                value(one, "lvlText")[:TEXT_CHARS_MAX],
                number(value(one, "lvlRestart")),
                bool(setting(one, "isLgl")),
                value(one, "pStyle"),
            )
    return found


def _written(levels: Mapping[int, _Level], level: int, counts: Mapping[int, int]) -> str:
    this = levels[level]
    if this.format == "bullet":
        return ""

    def count(found: re.Match[str]) -> str:
        place = int(found[1]) - 1
        one = levels.get(place, _Level())
        write = str if this.in_digits else _FORMATS.get(one.format, str)
        return write(counts.get(place, one.start))

    return _PLACE.sub(count, this.text).strip()
