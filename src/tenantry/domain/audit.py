"""An audit of isolation: which attacks were made, what came of each, and what was found.

An attack has a stable id and names the wall it tests. Its outcome is one of four; two of them are
findings, because an attack that could not have succeeded proves nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

ATTACKS_MAX: Final = 5_000  # of one report
CANARY_PREFIX: Final = "audit-canary-"  # with it begin the name and the plan of an audit's tenants
TEXT_CHARS_MAX: Final = 2_000
_ID = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", re.ASCII)
_ID_CHARS_MAX: Final = 160


class Wall(StrEnum):
    """What is to keep two tenants apart."""

    CREDENTIALS = "credentials"
    TENANT_NAMED = "tenant from credentials alone"
    IDS = "ids of one tenant"
    EXISTENCE = "no word of what exists elsewhere"
    SCOPES = "scopes"
    GROUPS = "access tags"
    CACHES = "caches and idempotency keys"
    PROMPTS = "prompts"
    PLACEMENT = "placement and region"
    MONEY = "provider cost"
    OPERATOR = "control plane apart"
    SEALS = "seals"
    ROWS = "row security"
    COVERAGE = "every route is attacked"
    CLEANING = "nothing left behind"


class Outcome(StrEnum):
    HELD = "held"
    FOUND = "found"  # a wall did not hold
    VOID = "void"  # the attack could not have succeeded here, so it shows nothing
    NOT_RUN = "not run here"


FINDINGS: Final = frozenset({Outcome.FOUND, Outcome.VOID})


class AuditError(ValueError):
    """A report is not one; the message says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """One attack and what came of it. `detail` holds no content of a tenant."""

    id: str
    wall: Wall
    sentence: str
    outcome: Outcome
    detail: str = ""
    after: str = ""  # the published flaw that it is modelled on

    @property
    def is_finding(self) -> bool:
        return self.outcome in FINDINGS

    def to_json(self) -> dict[str, Any]:
        told = {
            "id": self.id,
            "wall": str(self.wall),
            "outcome": str(self.outcome),
            "sentence": self.sentence,
        }
        optional = {"detail": self.detail, "after": self.after}
        return told | {name: text for name, text in optional.items() if text}


@dataclass(frozen=True, slots=True)
class Report:
    """All attacks of one run, in the order in which they were made."""

    started_at: datetime
    ended_at: datetime
    version: str  # of the deployment's API description
    url: str
    canaries: Sequence[str]  # ids of the tenants that were made for it
    results: Sequence[Result]

    @property
    def findings(self) -> list[Result]:
        return [result for result in self.results if result.is_finding]

    @property
    def is_cleaned(self) -> bool:
        """Whether the canaries are known to be put away."""
        return not any(result.wall is Wall.CLEANING for result in self.findings)

    @property
    def counts(self) -> dict[Outcome, int]:
        counted = Counter(result.outcome for result in self.results)
        return {outcome: counted[outcome] for outcome in Outcome}

    def to_json(self) -> dict[str, Any]:
        return {
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
            "version": self.version,
            "url": self.url,
            "canaries": list(self.canaries),
            "counts": {str(outcome): count for outcome, count in self.counts.items()},
            "attacks": [result.to_json() for result in self.results],
            "findings": [result.to_json() for result in self.findings],
        }


def report_from(told: Mapping[str, Any]) -> Report:
    """The inverse of `Report.to_json`; counts and findings are those of the attacks.

    Raises `AuditError`.
    """
    attacks = told.get("attacks")
    if not isinstance(attacks, list) or not 0 < len(attacks) <= ATTACKS_MAX:
        raise AuditError(f"`attacks` must be a list of 1 to {ATTACKS_MAX:,}")
    results = [_result(item) for item in attacks]
    if len({result.id for result in results}) != len(results):
        raise AuditError("`attacks` names one twice")
    canaries = told.get("canaries")
    if not isinstance(canaries, list) or len(canaries) > ATTACKS_MAX:
        raise AuditError("`canaries` must be a list of tenants' ids")
    return Report(
        started_at=_instant(told, "started_at"),
        ended_at=_instant(told, "ended_at"),
        version=_text(told, "version"),
        url=_text(told, "url"),
        canaries=[_plain(item, "canaries") for item in canaries],
        results=results,
    )


def is_attack_id(text: str) -> bool:
    return len(text) <= _ID_CHARS_MAX and _ID.fullmatch(text) is not None


def _result(told: object) -> Result:
    if not isinstance(told, Mapping):
        raise AuditError("`attacks` must hold objects")
    attack_id = _text(told, "id")
    if not is_attack_id(attack_id):
        raise AuditError("an attack's `id` is lower-case words joined by dots and hyphens")
    try:
        wall, outcome = Wall(_text(told, "wall")), Outcome(_text(told, "outcome"))
    except ValueError as problem:
        raise AuditError(f"attack {attack_id}: {problem}") from None
    detail, after = told.get("detail", ""), told.get("after", "")
    return Result(
        attack_id,
        wall,
        _text(told, "sentence"),
        outcome,
        _plain(detail, "detail"),
        _plain(after, "after"),
    )


def _text(told: Mapping[str, Any], name: str) -> str:
    text = _plain(told.get(name), name)
    if not text:
        raise AuditError(f"`{name}` is missing")
    return text


def _plain(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX or "\x00" in value:
        raise AuditError(f"`{name}` must be a text of at most {TEXT_CHARS_MAX:,} characters")
    return value


def _instant(told: Mapping[str, Any], name: str) -> datetime:
    try:
        instant = datetime.fromisoformat(_text(told, name))
    except ValueError:
        raise AuditError(f"`{name}` must be an instant such as 2026-11-30T12:00:00Z") from None
    if instant.tzinfo is None:
        raise AuditError(f"`{name}` needs a zone, such as Z")
    return instant
