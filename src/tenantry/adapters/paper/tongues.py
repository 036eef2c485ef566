"""Which East Asian language a text is drawn in: one character has other shapes in each.

Kana is Japanese and Hangul is Korean; what has Chinese characters alone could be any, and is taken
for that of the place whose time the invoice goes by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_KANA: Final = re.compile("[\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\uff66-\uff9f]")
_HANGUL: Final = re.compile("[\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb]")
_BOPOMOFO: Final = re.compile("[\u3105-\u312f\u31a0-\u31bf]")
_HAN: Final = re.compile(
    "[\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
_PLACES: Final[Mapping[str, str]] = {
    "Asia/Tokyo": "ja", "Japan": "ja",
    "Asia/Seoul": "ko", "Asia/Pyongyang": "ko", "ROK": "ko",
    "Asia/Taipei": "zh-TW", "ROC": "zh-TW",
    "Asia/Hong_Kong": "zh-HK", "Hongkong": "zh-HK", "Asia/Macau": "zh-HK", "Asia/Macao": "zh-HK",
}  # fmt: skip
# Words in the name of a family that is drawn for one of them, as `Noto Sans CJK JP`.
_REGIONS: Final[Mapping[str, frozenset[str]]] = {
    "ja": frozenset({"JP", "J"}),
    "ko": frozenset({"KR", "K"}),
    "zh-CN": frozenset({"SC", "CN"}),
    "zh-TW": frozenset({"TC", "TW"}),
    "zh-HK": frozenset({"HK", "HC"}),
}
TONGUES: Final = tuple(_REGIONS)
_ANY: Final = frozenset().union(*_REGIONS.values())


def tongue_of(text: str, zone: str) -> str | None:
    """One of `TONGUES`; None where it makes no difference. `zone`: a name of the IANA's."""
    if _KANA.search(text):
        return "ja"
    if _HANGUL.search(text):
        return "ko"
    if _BOPOMOFO.search(text):
        return "zh-TW"
    return _PLACES.get(zone, "zh-CN") if _HAN.search(text) else None


def ranked(families: Iterable[str], tongue: str | None) -> list[str]:
    """By name, those of one width last; a tongue's own families first, those of others last."""
    own = _REGIONS[tongue] if tongue is not None else frozenset()

    def place(family: str) -> tuple[bool, int, str]:
        words = set(family.split())
        return "Mono" in words, 0 if words & own else 2 if words & _ANY else 1, family

    return sorted(families, key=place)
