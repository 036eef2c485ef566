"""Why two lines of one model and token class stand beside each other, in words for people.

A line of usage says in members by which service tiers, price keys and plans its price was asked,
and since when. Of most nothing is said: a model and class have one line, by the default tier. Words
are added where lines would read alike without them, as few as tell them apart, and where a tier
other than the default one has served.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from tenantry.domain.model_ids import is_region_or_prefix
from tenantry.domain.price import BATCH_TIER, STANDARD_TIER
from tenantry.domain.usage import GUARDRAIL_CLASSES, TokenClass

Line = Mapping[str, Any]
_Teller = Callable[[Line, Sequence[Line]], str]  # of a line, among those that are alike so far
# Neither tier nor price key changes what these cost.
_AT_ONE_PRICE: Final = GUARDRAIL_CLASSES | {TokenClass.CACHE_HIT}
# As short as tells instants apart; the last one tells also those of an hour that the clock repeats.
_INSTANTS: Final[Sequence[Callable[[datetime], str]]] = (
    lambda at: at.date().isoformat(),
    lambda at: f"{at:%Y-%m-%d %H:%M:%S}",
    lambda at: at.isoformat(" "),
)
_BY_DEFAULT: Final = f"{STANDARD_TIER} tier"


def words_apart(lines: Sequence[Line], zone: str, *, times: bool = True) -> list[str]:
    """For each line of an invoice's JSON, in order: `batch, prices from 2026-11-16`, or ''.

    Dates are civil days of `zone`; of prices that changed on one day the time is said as well,
    where `times`: not in documents of before that was so. Lines without the members get ''.
    """
    said: list[list[str]] = [[] for _ in lines]
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, line in enumerate(lines):
        if line.get("model") and "price_keys" in line:
            period, reason = line.get("period") or {}, line.get("reason") or ""
            named = (line["kind"], line["model"], line["token_class"])
            alike.setdefault((*named, period.get("start", ""), reason), []).append(place)
    # Whom one stage tells apart the next has nothing to tell.
    of_plan: list[list[_Teller]] = [[_plan, _since(zone, times)], [_plan_version]]
    for (_, _, token_class, *_), places in alike.items():
        by_tier: list[list[_Teller]] = [] if token_class in _AT_ONE_PRICE else [[_tiers], [_keys]]
        _tell(lines, places, [*by_tier, *of_plan], said)
    return [", ".join(words) for words in said]


def _tell(
    lines: Sequence[Line],
    places: Sequence[int],
    stages: Sequence[Sequence[_Teller]],
    said: list[list[str]],
) -> None:
    if not stages:
        return
    beside = [lines[place] for place in places]
    told: dict[int, list[str]] = {place: [] for place in places}
    for tell in stages[0]:
        words = {place: tell(lines[place], beside) for place in places}
        differ = len(set(words.values())) > 1
        for place in places:
            told[place].append(words[place])
            if words[place] and (differ or (tell is _tiers and words[place] != _BY_DEFAULT)):
                said[place].append(words[place])
    left: dict[tuple[str, ...], list[int]] = {}
    for place in places:
        left.setdefault(tuple(told[place]), []).append(place)
    for still_alike in left.values():
        _tell(lines, still_alike, stages[1:], said)


def _tiers(line: Line, _: Sequence[Line]) -> str:
    return _and(name if name == BATCH_TIER else f"{name} tier" for name in line["service_tiers"])


def _keys(line: Line, beside: Sequence[Line]) -> str:
    every = {key for each in beside for key in each["price_keys"]}
    return _and(_key(key, every) for key in line["price_keys"])


def _key(key: str, every: Collection[str]) -> str:
    """By the cross-region profile that a price key names, and the region that it holds in."""
    name, _, region = key.partition("@")
    if "/" in name:  # a provisioned model, which is in one region
        return name
    prefix = name.partition(".")[0]
    words = [f"cross-region ({prefix})"] if is_region_or_prefix(prefix) else []
    if region:
        words.append(f"in {region}")
    elif any(each.startswith(f"{name}@") for each in every):
        words.append("in other regions")
    return " ".join(words) or "single region"


def _plan(line: Line, _: Sequence[Line]) -> str:
    return _and(f"plan {plan.rpartition('/')[0]}" for plan in line["plans"])


def _plan_version(line: Line, _: Sequence[Line]) -> str:
    parts = (plan.rpartition("/") for plan in line["plans"])
    return _and(f"plan {name} version {version}" for name, _, version in parts)


def _since(zone: str, times: bool) -> _Teller:
    spelt = _INSTANTS if times else _INSTANTS[:1]

    def told(line: Line, beside: Sequence[Line]) -> str:
        if line["priced_from"] is None:
            return ""
        since = line["priced_from"]
        others = {each["priced_from"] for each in beside} - {since, None}
        for spell in spelt:
            words = spell(_local(since, zone))
            if all(spell(_local(other, zone)) != words for other in others):
                break
        return f"prices from {words}"

    return told


def _local(instant: str, zone: str) -> datetime:
    return datetime.fromisoformat(instant).astimezone(ZoneInfo(zone))


def _and(words: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(words))
