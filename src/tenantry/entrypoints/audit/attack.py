"""An attack of the catalogue: what it is called, which wall it tests, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenantry.domain.audit import Outcome, Result, Wall

if TYPE_CHECKING:
    from tenantry.entrypoints.audit.ground import Ground


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    detail: str = ""


HELD = Verdict(Outcome.HELD)
_DETAIL_CHARS: Final = 500
Run = Callable[["Ground"], Verdict]


@dataclass(frozen=True, slots=True)
class Attack:
    """`after` is the published flaw that it is modelled on; its id is stable."""

    id: str
    wall: Wall
    sentence: str
    run: Run
    after: str = ""


def result_of(attack: Attack, verdict: Verdict) -> Result:
    detail = verdict.detail[:_DETAIL_CHARS]
    return Result(attack.id, attack.wall, attack.sentence, verdict.outcome, detail, attack.after)


def found(detail: str) -> Verdict:
    """A wall did not hold."""
    return Verdict(Outcome.FOUND, detail)


def void(detail: str) -> Verdict:
    """It could not have succeeded, so it shows nothing."""
    return Verdict(Outcome.VOID, detail)


def not_run(reason: str) -> Verdict:
    return Verdict(Outcome.NOT_RUN, reason)


def held_if(holds: bool, otherwise: str) -> Verdict:
    return HELD if holds else found(otherwise)
