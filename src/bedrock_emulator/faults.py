"""Faults on demand: rules that match calls and say what goes wrong, by count or by seed.

A rule is a JSON object (or a `[[rules]]` table in the configuration):

    {"match": {"model": "anthropic.*", "account": "111111111111", "region": "us-*",
               "operation": "ConverseStream", "request_metadata": {"tid": "tnt_1"}},
     "nth": 3, "times": 1, "probability": 0.2, "seed": 7,
     "action": {"kind": "throttle"}}

Every member but `action` is optional. `nth` counts matching calls from 1; `times` bounds how often
the rule acts (1 where `nth` is given, else without end); `probability` draws from `seed`.
A rule matches no call on which its action could do nothing, as `slow_tokens` on CountTokens, and
none that is refused as invalid: it is asked once a call has been validated.
All rules that match act together; of two that would end the call or set its usage, the earlier
one does.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import count
from typing import Any, Literal, get_args

from bedrock_emulator.engine.types import Metered, Operation, TokenUsage

RULES_MAX = 1_000
DELAY_MAX_MS = 600_000
MESSAGE_CHARS_MAX = 8_000  # an event stream's header holds 65,535 bytes
TOKENS_MAX = 10_000_000_000  # of one class in a ruled usage

Kind = Literal[
    "throttle",  # 429, nothing generated
    "error",  # `status`, `code`, `message`; nothing generated
    "slow_first_token",  # `delay_ms` before the first byte
    "slow_tokens",  # `delay_ms` for each output token
    "error_frame",  # a stream ends with `code` after `after_events`; other calls fail with `status`
    "cut",  # the connection breaks: a stream after `after_events`, else in the middle of the body
    "hang",  # nothing more comes: a stream after `after_events`, else no answer at all
    "stop_on_hangup",  # a client that leaves stops generation and billing
    "rubbish",  # `what`: html, not_json, truncated_json, bad_crc, or usage (with `usage`)
    "usage",  # the call's true usage is `tokens`, whatever was generated
]
Billed = Literal["full", "emitted", "none"]
Rubbish = Literal["html", "not_json", "truncated_json", "bad_crc", "usage"]
USAGE_CLASSES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
OPERATIONS = (*get_args(Operation), "ApplyGuardrail")  # that rules act on
# What a rule cannot do where no tokens are generated, and where none are metered.
UNMETERED = frozenset({"CountTokens", "ApplyGuardrail", "Rerank"})
OF_GENERATIONS = frozenset({"slow_tokens", "stop_on_hangup"})
ENDINGS = frozenset({"throttle", "error", "error_frame", "cut", "hang", "rubbish"})


@dataclass(frozen=True, slots=True)
class Action:
    """What goes wrong. Members that a kind does not use are refused."""

    kind: Kind
    status: int = 500
    code: str = "InternalServerException"
    message: str | None = None  # None: what Bedrock says
    delay_ms: int = 0
    after_events: int | None = None  # None: half of the stream
    for_ms: int = DELAY_MAX_MS  # how long a hang lasts
    clean: bool = False  # a cut stream ends inside a frame but as proper HTTP
    what: Rubbish = "not_json"
    usage: Any = None
    bill: Billed | None = None  # None: what the kind does by itself
    retry_after_ms: int | None = None
    tokens: TokenUsage | None = None


@dataclass(frozen=True, slots=True)
class Match:
    model: str = "*"
    account: str = "*"
    region: str = "*"
    operation: str = "*"
    request_metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What rules look at."""

    model_id: str
    account: str
    region: str
    operation: str
    request_metadata: Mapping[str, str]
    metered: Metered = "output"


@dataclass(slots=True)
class Rule:
    id: int
    action: Action
    match: Match = field(default_factory=Match)
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    matched: int = 0
    acted: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def acts_on(self, subject: Subject) -> bool:
        """Counts the call if it matches, and says whether the rule acts on it."""
        if not _matches(self.match, subject) or not can_act(
            self.action, subject.operation, subject.metered
        ):
            return False
        self.matched += 1
        drawn = self.probability >= 1 or self._random.random() < self.probability
        limit = self.times if self.times is not None else (1 if self.nth is not None else None)
        if (
            not drawn
            or self.matched < (self.nth or 1)
            or (limit is not None and self.acted >= limit)
        ):
            return False
        self.acted += 1
        return True


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rules say about one call."""

    ending: Action | None = None
    first_token_ms: int = 0
    token_ms: int = 0
    stop_on_hangup: bool = False
    usage: TokenUsage | None = None  # None: what was generated


NO_FAULT = Plan()


class RuleBook:
    def __init__(self, *, token_delay_ms: int = 0) -> None:
        self._base = replace(NO_FAULT, token_ms=token_delay_ms) if token_delay_ms else NO_FAULT
        self._rules: list[Rule] = []
        self._ids: Iterator[int] = count(1)

    def add(self, documents: Any) -> list[int]:
        """Adds all rules or, with a ValueError that names the fault, none."""
        if not isinstance(documents, list):
            raise ValueError("rules must be a list")
        if len(self._rules) + len(documents) > RULES_MAX:
            raise ValueError(f"more than {RULES_MAX} rules")
        parsed = [parse_rule(document, 0) for document in documents]
        for rule in parsed:
            rule.id = next(self._ids)
        self._rules.extend(parsed)
        return [rule.id for rule in parsed]

    def clear(self) -> None:
        self._rules.clear()

    def list(self) -> list[dict[str, Any]]:
        """Each rule's id and kind, and how often it matched and acted."""
        return [
            {"id": rule.id, "kind": rule.action.kind, "matched": rule.matched, "acted": rule.acted}
            for rule in self._rules
        ]

    def plan(self, subject: Subject) -> Plan:
        if not self._rules:
            return self._base
        plan = self._base
        for rule in self._rules:
            if rule.acts_on(subject):
                plan = _with(plan, rule.action)
        return plan


def can_act(action: Action, operation: str, metered: Metered = "output") -> bool:
    """Whether the action changes anything about a call that is metered so."""
    if operation in UNMETERED:
        metered = "none"
    if action.kind in OF_GENERATIONS:
        return metered == "output"
    if action.kind == "rubbish" and action.what == "usage":
        return metered != "none" or operation == "ApplyGuardrail"  # whose units are its usage
    return action.kind != "usage" or metered != "none"


def _with(plan: Plan, action: Action) -> Plan:
    if action.kind in ENDINGS:
        return plan if plan.ending is not None else replace(plan, ending=action)
    if action.kind == "slow_first_token":
        return replace(plan, first_token_ms=plan.first_token_ms + action.delay_ms)
    if action.kind == "slow_tokens":
        return replace(plan, token_ms=plan.token_ms + action.delay_ms)
    if action.kind == "usage":
        return plan if plan.usage is not None else replace(plan, usage=action.tokens)
    return replace(plan, stop_on_hangup=True)


def _matches(match: Match, subject: Subject) -> bool:
    return (
        fnmatchcase(subject.model_id, match.model)
        and fnmatchcase(subject.account, match.account)
        and fnmatchcase(subject.region, match.region)
        and fnmatchcase(subject.operation, match.operation)
        and all(
            subject.request_metadata.get(key) == value
            for key, value in match.request_metadata.items()
        )
    )


# Reading rules. Every member is checked: a rule with a typo must not silently do nothing.

_MEMBERS: dict[str, frozenset[str]] = {
    "throttle": frozenset({"message", "retry_after_ms"}),
    "error": frozenset({"status", "code", "message", "bill", "retry_after_ms"}),
    "slow_first_token": frozenset({"delay_ms"}),
    "slow_tokens": frozenset({"delay_ms"}),
    "error_frame": frozenset({"status", "code", "message", "after_events", "bill"}),
    "cut": frozenset({"after_events", "clean", "bill"}),
    "hang": frozenset({"after_events", "for_ms", "bill"}),
    "stop_on_hangup": frozenset(),
    "rubbish": frozenset({"what", "usage", "bill"}),
    "usage": frozenset(USAGE_CLASSES),
}
_CODE = re.compile("[A-Za-z][A-Za-z0-9]{0,127}")  # it becomes part of a header
_RANGES = {
    "status": (400, 599),
    "delay_ms": (0, DELAY_MAX_MS),
    "for_ms": (0, DELAY_MAX_MS),
    "after_events": (0, 1_000_000),
    "retry_after_ms": (0, DELAY_MAX_MS),
}


def parse_rule(document: Any, rule_id: int) -> Rule:
    """Reads one rule; raises ValueError that names the member at fault."""
    members = _object(document, "rule")
    _only(members, {"match", "nth", "times", "probability", "seed", "action"}, "rule")
    probability = members.get("probability", 1.0)
    if isinstance(probability, bool) or not isinstance(probability, int | float):
        raise ValueError("probability must be a number")
    if not 0 <= probability <= 1:
        raise ValueError("probability must be between 0 and 1")
    action = _parse_action(_object(members.get("action"), "action"))
    match = _parse_match(_object(members.get("match", {}), "match"))
    if not any(can_act(action, operation) for operation in _asked(match.operation)):
        raise ValueError(f"action {action.kind} does nothing to {match.operation}")
    return Rule(
        id=rule_id,
        action=action,
        match=match,
        nth=_integer(members, "nth", 1, 1_000_000_000),
        times=_integer(members, "times", 1, 1_000_000_000),
        probability=float(probability),
        seed=_integer(members, "seed", 0, 2**63) or 0,
    )


def _parse_action(members: dict[str, Any]) -> Action:
    kind = members.get("kind")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise ValueError(f"action.kind must be one of {', '.join(_MEMBERS)}")
    _only(members, _MEMBERS[kind] | {"kind"}, f"action {kind}")
    if kind == "usage":
        return _usage_action(members)
    for name, (low, high) in _RANGES.items():
        _integer(members, name, low, high)
    for name in ("code", "message"):
        if not isinstance(members.get(name, ""), str):
            raise ValueError(f"{name} must be a string")
    code = members.get("code")
    if code is not None and not _CODE.fullmatch(code):
        raise ValueError("code must have up to 128 letters and digits, a letter first")
    if len(members.get("message") or "") > MESSAGE_CHARS_MAX:
        raise ValueError(f"message must have at most {MESSAGE_CHARS_MAX} characters")
    if not isinstance(members.get("clean", False), bool):
        raise ValueError("clean must be a boolean")
    if members.get("bill") not in (None, *get_args(Billed)):
        raise ValueError(f"bill must be one of {', '.join(get_args(Billed))}")
    if members.get("what", "html") not in get_args(Rubbish):
        raise ValueError(f"what must be one of {', '.join(get_args(Rubbish))}")
    members = {name: value for name, value in members.items() if value is not None}
    if kind == "error_frame":
        members = {"code": "ModelStreamErrorException", "status": 424, **members}
    return Action(**members)


def _usage_action(members: dict[str, Any]) -> Action:
    """Classes that are left out are 0, so that a rule says the whole usage of its call."""
    if len(members) == 1:
        raise ValueError(f"action usage needs one of {', '.join(USAGE_CLASSES)}")
    counts = {name: _integer(members, name, 0, TOKENS_MAX) or 0 for name in USAGE_CLASSES}
    return Action("usage", tokens=TokenUsage(**counts))


def _parse_match(members: dict[str, Any]) -> Match:
    _only(members, {"model", "account", "region", "operation", "request_metadata"}, "match")
    metadata = _object(members.get("request_metadata", {}), "match.request_metadata")
    for name, value in [*members.items(), *metadata.items()]:
        if name != "request_metadata" and not isinstance(value, str):
            raise ValueError(f"match.{name} must be a string")
    asked = members.get("operation", "*")
    if not _asked(asked):
        raise ValueError(f"match.operation {asked!r} is none of {', '.join(OPERATIONS)}")
    return Match(**members)


def _asked(pattern: str) -> list[str]:
    return [operation for operation in OPERATIONS if fnmatchcase(operation, pattern)]


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object")
    return value


def _only(members: dict[str, Any], known: frozenset[str] | set[str], name: str) -> None:
    unknown = sorted(set(members) - known)
    if unknown:
        raise ValueError(f"{name} has unknown members: {', '.join(unknown)}")


def _integer(members: dict[str, Any], name: str, low: int, high: int) -> int | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}")
    return value
