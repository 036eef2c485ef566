"""A guardrail: what it denies, what it finds in a text, and by how many units that is billed.

Small stand-ins judge in place of Bedrock's classifiers: keywords for topics and content filters,
regular expressions for personal data, shared words for grounding. Units are Bedrock's own: up to
1,000 characters of what is looked at, once for each policy; word filters and regular expressions
are counted and free.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

CHARS_PER_UNIT = 1_000
Side = Literal["input", "output"]
Action = Literal["BLOCK", "ANONYMIZE"]
POLICIES = ("topics", "content", "words", "pii", "regexes", "grounding")
_REPORTED = {"BLOCK": "BLOCKED", "ANONYMIZE": "ANONYMIZED"}
# The members of `usage`, in the service model's order.
USAGE_MEMBERS = (
    "topicPolicyUnits",
    "contentPolicyUnits",
    "wordPolicyUnits",
    "sensitiveInformationPolicyUnits",
    "sensitiveInformationPolicyFreeUnits",
    "contextualGroundingPolicyUnits",
    "contentPolicyImageUnits",
)
_UNITS = {
    "topics": "topicPolicyUnits",
    "content": "contentPolicyUnits",
    "words": "wordPolicyUnits",
    "pii": "sensitiveInformationPolicyUnits",
    "regexes": "sensitiveInformationPolicyFreeUnits",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    pattern: re.Pattern[str]
    action: Action = "BLOCK"


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One version. `looks` says which policies look at which side; those alone are billed."""

    id: str
    version: str
    blocked_input: str
    blocked_output: str
    topics: Mapping[str, Sequence[str]] = field(default_factory=dict)  # keywords by topic
    content: Mapping[str, Sequence[str]] = field(default_factory=dict)  # keywords by filter
    words: Sequence[str] = ()
    pii: Mapping[str, Pattern] = field(default_factory=dict)  # by type of entity
    regexes: Mapping[str, Pattern] = field(default_factory=dict)  # by name
    grounding: float | None = None  # the least share of an answer's words found in its source
    looks: Mapping[Side, frozenset[str]] = field(default_factory=dict)

    def has(self, policy: str, side: Side) -> bool:
        there = getattr(self, policy) not in (None, (), {}, [])
        return there and policy in self.looks.get(side, frozenset(POLICIES))


GuardrailLookup = Callable[[str, str, str], Guardrail | None]  # account, id, version


@dataclass(frozen=True, slots=True)
class Looked:
    """What a guardrail is given to look at."""

    texts: Sequence[str]
    images: int = 0
    sources: Sequence[str] = ()  # qualified as grounding_source
    queries: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """`texts` are those given, masked where a policy says so. `blocked` outweighs `masked`."""

    document: Mapping[str, Any]  # as traces and ApplyGuardrail show it
    usage: Mapping[str, int]
    blocked: bool
    masked: bool
    texts: Sequence[str]

    @property
    def intervened(self) -> bool:
        return self.blocked or self.masked


def assess(guardrail: Guardrail, side: Side, looked: Looked) -> Assessment:
    """What the guardrail finds. Pure; the same texts are judged the same."""
    text = "\n".join(looked.texts)
    document: dict[str, Any] = {}
    actions: list[str] = []
    if guardrail.has("topics", side):
        topics = [
            {"name": name, "type": "DENY", "action": "BLOCKED", "detected": True}
            for name, words in guardrail.topics.items()
            if _said(words, text)
        ]
        _note(document, actions, "topicPolicy", {"topics": topics})
    if guardrail.has("content", side):
        filters = [
            {
                "type": name,
                "confidence": "HIGH",
                "filterStrength": "HIGH",
                "action": "BLOCKED",
                "detected": True,
            }
            for name, words in guardrail.content.items()
            if _said(words, text)
        ]
        _note(document, actions, "contentPolicy", {"filters": filters})
    if guardrail.has("words", side):
        words = [
            {"match": word, "action": "BLOCKED", "detected": True}
            for word in guardrail.words
            if _said([word], text)
        ]
        _note(document, actions, "wordPolicy", {"customWords": words, "managedWordLists": []})
    _sensitive(guardrail, side, text, document, actions)
    grounded = _grounding(guardrail, side, looked, text, document, actions)
    usage = _usage(guardrail, side, looked, grounded)
    total = sum(map(len, looked.texts))
    document["invocationMetrics"] = {
        "guardrailProcessingLatency": 0,
        "usage": usage,
        "guardrailCoverage": {"textCharacters": {"guarded": total, "total": total}},
    }
    return Assessment(
        document,
        usage,
        blocked="BLOCKED" in actions,
        masked="ANONYMIZED" in actions,
        texts=[mask(guardrail, side, one) for one in looked.texts],
    )


def mask(guardrail: Guardrail, side: Side, text: str) -> str:
    """The text with what is to be anonymised replaced by its kind."""
    for policy in ("pii", "regexes"):
        if not guardrail.has(policy, side):
            continue
        for name, found in getattr(guardrail, policy).items():
            if found.action == "ANONYMIZE":
                text = found.pattern.sub("{" + name + "}", text)
    return text


def summed(usages: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The units of several assessments together."""
    return {name: sum(usage.get(name, 0) for usage in usages) for name in USAGE_MEMBERS}


def _said(words: Sequence[str], text: str) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in words)


def _note(document: dict[str, Any], actions: list[str], policy: str, found: dict[str, Any]) -> None:
    """A policy stands in an assessment where it has found something."""
    entries = [entry for value in found.values() for entry in value]
    if entries:
        document[policy] = found
        actions += [entry["action"] for entry in entries]


def _sensitive(
    guardrail: Guardrail, side: Side, text: str, document: dict[str, Any], actions: list[str]
) -> None:
    entities: list[dict[str, Any]] = []
    regexes: list[dict[str, Any]] = []
    if guardrail.has("pii", side):
        entities = [
            {
                "match": match.group(),
                "type": name,
                "action": _REPORTED[found.action],
                "detected": True,
            }
            for name, found in guardrail.pii.items()
            for match in found.pattern.finditer(text)
        ]
    if guardrail.has("regexes", side):
        regexes = [
            {
                "name": name,
                "match": match.group(),
                "regex": found.pattern.pattern,
                "action": _REPORTED[found.action],
                "detected": True,
            }
            for name, found in guardrail.regexes.items()
            for match in found.pattern.finditer(text)
        ]
    found = {"piiEntities": entities, "regexes": regexes}
    _note(document, actions, "sensitiveInformationPolicy", found)


def _grounding(
    guardrail: Guardrail,
    side: Side,
    looked: Looked,
    text: str,
    document: dict[str, Any],
    actions: list[str],
) -> bool:
    """Whether an answer was held against its sources; it is where there are some."""
    if side != "output" or not guardrail.has("grounding", side) or not looked.sources:
        return False
    said = set(re.findall(r"\w+", text.lower()))
    known = set(re.findall(r"\w+", " ".join(looked.sources).lower()))
    score = len(said & known) / len(said) if said else 1.0
    assert guardrail.grounding is not None
    blocked = score < guardrail.grounding
    filters = {
        "type": "GROUNDING",
        "threshold": guardrail.grounding,
        "score": round(score, 4),
        "action": "BLOCKED" if blocked else "NONE",
        "detected": blocked,
    }
    _note(document, actions, "contextualGroundingPolicy", {"filters": [filters]})
    return True


def _usage(guardrail: Guardrail, side: Side, looked: Looked, grounded: bool) -> dict[str, int]:
    usage = dict.fromkeys(USAGE_MEMBERS, 0)
    units = _text_units(looked.texts)
    for policy, member in _UNITS.items():
        if guardrail.has(policy, side):
            usage[member] = units
    if guardrail.has("content", side):
        usage["contentPolicyImageUnits"] = looked.images
    if grounded:
        held = [*looked.texts, *looked.sources, *looked.queries]
        usage["contextualGroundingPolicyUnits"] = _text_units(held)
    return usage


def _text_units(texts: Sequence[str]) -> int:
    return -(-sum(map(len, texts)) // CHARS_PER_UNIT)
