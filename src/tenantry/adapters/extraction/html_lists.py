"""The numbers that browsers write before the items of `ol`: no text of a page holds them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from selectolax.lexbor import LexborNode

from tenantry.adapters.extraction.numerals import letters, roman

_INTEGER = re.compile(r"\s*([+-]?\d{1,9})(?!\d)")
_UNNUMBERED = re.compile(r"list-style(?:-type)?\s*:[^;]*\b(?:none|disc|circle|square)\b", re.I)
_KINDS: Mapping[str, Callable[[int], str]] = {
    "a": letters,
    "A": lambda number: letters(number).upper(),
    "i": roman,
    "I": lambda number: roman(number).upper(),
}


class ListNumbers:
    """Counts the items of a page's lists as they come."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}

    def before(self, item: LexborNode, left_out: set[int]) -> str:
        """What stands before an item; empty in a list without numbers. Hidden items are none."""
        whole = item.parent
        if whole is None or whole.tag != "ol":
            return ""
        step = -1 if "reversed" in whole.attributes else 1
        if whole.mem_id not in self._next:
            self._next[whole.mem_id] = _first(whole, step, left_out)
        own = _integer(item.attributes.get("value"))
        number = self._next[whole.mem_id] if own is None else own
        self._next[whole.mem_id] = number + step
        if any(_UNNUMBERED.search(one.attributes.get("style") or "") for one in (whole, item)):
            return ""
        kind = item.attributes.get("type") or whole.attributes.get("type") or ""
        return f"{_KINDS.get(kind, str)(number)}."


def _first(whole: LexborNode, step: int, left_out: set[int]) -> int:
    start = _integer(whole.attributes.get("start"))
    if start is not None or step > 0:
        return 1 if start is None else start
    count, item = 0, whole.child
    while item is not None:
        count += item.tag == "li" and item.mem_id not in left_out
        item = item.next
    return count


def _integer(stated: str | None) -> int | None:
    found = _INTEGER.match(stated or "")
    return None if found is None else int(found[1])
