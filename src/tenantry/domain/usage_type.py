"""AWS's usage types for Amazon Bedrock: what a line of its price list or bill counts.

Three shapes are read, of both service codes (AWS Price List bulk files, read 2026-11):

    USE1-NovaPro-input-tokens[-batch|-flex|-priority][-cross-region-global]      1,000 tokens
    USE1-qwen.qwen3-coder-next-cache-read-tokens                                 1,000 tokens
    USE1-MP:USE1_InputTokenCount[_LCtx][_Global|_Geo][_Batch]-Units          1,000,000 tokens
    USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units                 1,000,000 tokens

The last two, of AWS Marketplace, do not name the model; the line's product does. A word that is not
known here makes the whole usage type unknown: a price or a cost is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from tenantry.domain.model_ids import Scope
from tenantry.domain.price import STANDARD_TIER
from tenantry.domain.usage import TokenClass

THOUSAND: Final = 1_000
MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Counted:
    """Usage that requests make. `name` is AWS's for the model; empty where the product names it.

    One unit of the line is `unit` tokens (or rerank queries). `long_context`: of requests whose
    prompt is over the model's step. REGIONAL stands for in-region and geo profiles alike, where
    AWS does not tell them apart.
    """

    name: str
    token_class: TokenClass
    tier: str = STANDARD_TIER
    scope: Scope = Scope.REGIONAL
    long_context: bool = False
    unit: int = THOUSAND


@dataclass(frozen=True, slots=True)
class Aside:
    """A usage type that is known and not priced by the request here, and why.

    `by_request`: calls made it, which the gateway does not make.
    """

    reason: str
    by_request: bool


UsageType: TypeAlias = Counted | Aside

_REGION: Final = re.compile(r"[A-Z]{2,4}[0-9]?-(?=.)", re.ASCII)
_MARKETPLACE: Final = re.compile(
    r"MP:(?:[A-Z]{2,4}[0-9]?_)?(?P<dimension>[A-Za-z0-9_]{1,128})-Units", re.ASCII
)
_IN, _OUT = TokenClass.UNCACHED_IN, TokenClass.OUT
_READ, _WRITE = TokenClass.CACHE_READ, TokenClass.CACHE_WRITE_5M
_LONG_WRITE = TokenClass.CACHE_WRITE_1H
# What is counted, in AWS's words; the longest that is found holds.
_HEADS: Final[Mapping[str, TokenClass]] = {
    "input-tokens": _IN,
    "text-input-tokens": _IN,
    "input-token-count": _IN,
    "output-tokens": _OUT,
    "text-output-tokens": _OUT,
    "output-token-count": _OUT,
    "response-token-count": _OUT,
    "cached-input-tokens": _READ,
    "cache-read-tokens": _READ,
    "cache-read-input-tokens": _READ,
    "cache-read-input-token-count": _READ,
    "cache-write-tokens": _WRITE,
    "cache-write-input-tokens": _WRITE,
    "cache-write-input-token-count": _WRITE,
    "cache-write1h-input-token-count": _LONG_WRITE,
    "cache-write-1h-tokens": _LONG_WRITE,
    "searchunits": TokenClass.RERANK_UNITS,
    "search-units": TokenClass.RERANK_UNITS,
}
_HEAD: Final = "|".join(sorted(map(re.escape, _HEADS), key=len, reverse=True))
_NAMED: Final = re.compile(
    rf"(?P<name>[A-Za-z0-9][A-Za-z0-9._:+-]{{0,127}}?)-(?P<head>{_HEAD})(?P<rest>(?:-[a-z0-9-]+)?)",
    re.ASCII,
)
_UNNAMED: Final = re.compile(rf"(?P<head>{_HEAD})(?P<rest>(?:-[a-z0-9-]+)?)", re.ASCII)
# Qualifiers behind it, each once, in any order. `standard` says nothing.
_QUALIFIERS: Final[Mapping[str, tuple[str, object]]] = {
    "standard": ("tier", STANDARD_TIER),
    "batch": ("tier", "batch"),
    "flex": ("tier", "flex"),
    "priority": ("tier", "priority"),
    "cross-region-global": ("scope", Scope.GLOBAL),
    "global": ("scope", Scope.GLOBAL),
    "cross-region-geo": ("scope", Scope.GEO),
    "geo": ("scope", Scope.GEO),
    "regional": ("scope", Scope.REGIONAL),
    "lctx": ("long", True),
    "l-ctx": ("long", True),
    "long-ctx": ("long", True),
    "long-context": ("long", True),
    "5m": ("ttl", _WRITE),
    "30m": ("ttl", _WRITE),  # of models whose only cache lives so long
    "1h": ("ttl", _LONG_WRITE),
    "1-hour": ("ttl", _LONG_WRITE),
}
_QUALIFIER: Final = re.compile(
    "-(" + "|".join(sorted(map(re.escape, _QUALIFIERS), key=len, reverse=True)) + r")(?=-|$)"
)
# Known, and no request of the gateway makes it. In the order in which they are asked for.
_ASIDES: Final[tuple[tuple[re.Pattern[str], Aside], ...]] = tuple(
    (re.compile(pattern), Aside(reason, by_request))
    for pattern, reason, by_request in (
        (r"provisioned-?throughput|model-?units", "provisioned throughput, by the hour", False),
        (r"reserved|tpm", "reserved tier, by the hour", False),
        (r"guardrail", "guardrail policies", False),
        (r"custom|fine-?tun|training|distill|reinforcement|rft", "customised models", False),
        (r"storage|data-?automation|knowledge-?base|flow|prompt-?opt|evaluation", "tools", False),
        (
            r"runtime:|agent-?core|browser|code-?interpreter|gateway:|memory:|identity:",
            "agents",
            False,
        ),
        (r"-mantle-", "the other endpoint (mantle)", True),
        (r"latency-?optimi[sz]ed|(?:^|[-_])fast(?:[-_]|$)", "optimised latency", True),
        (
            r"image|audio|video|speech|second|grounding|created|page|t2i|i2i|canvas|reel|sonic",
            "media and search",
            True,
        ),
    )
)


def usage_type(text: str) -> UsageType | None:
    """None for what is not known: no price, no cost."""
    plain = _REGION.sub("", text, count=1) if _REGION.match(text) else text
    marketplace = _MARKETPLACE.fullmatch(plain)
    words = _words(marketplace["dimension"]) if marketplace else plain
    for pattern, aside in _ASIDES:
        if pattern.search(words.lower()):
            return aside
    found = (_UNNAMED if marketplace else _NAMED).fullmatch(words)
    if found is None:
        return None
    name = "" if marketplace else found["name"]
    return _counted(name, found["head"], found["rest"], MILLION if marketplace else THOUSAND)


def _counted(name: str, head: str, rest: str, unit: int) -> Counted | None:
    told: dict[str, object] = {}
    place = 0
    while place < len(rest):
        found = _QUALIFIER.match(rest, place)
        if found is None:
            return None
        kind, value = _QUALIFIERS[found[1]]
        if kind in told:
            return None
        told[kind] = value
        place = found.end()
    token_class = _HEADS[head]
    if "ttl" in told:
        if token_class not in (_WRITE, _LONG_WRITE):
            return None
        token_class = told["ttl"]  # type: ignore[assignment]
    if token_class is TokenClass.RERANK_UNITS:
        unit = 1
    return Counted(
        name,
        token_class,
        str(told.get("tier", STANDARD_TIER)),
        Scope(str(told.get("scope", Scope.REGIONAL))),
        bool(told.get("long", False)),
        unit,
    )


def _words(dimension: str) -> str:
    """`CacheWrite1hInputTokenCount_Global` → `cache-write1h-input-token-count-global`."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", dimension)
    return re.sub(r"_+", "-", split).lower()
