"""From a tenant's hours to the few of them that someone should hear of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tenantry.domain.anomaly.baseline import Judged, judged
from tenantry.domain.anomaly.cohort import CohortPrior
from tenantry.domain.anomaly.hours import DAY_H, WEEK_H, Series, sums_of
from tenantry.domain.anomaly.leak import leaks
from tenantry.domain.anomaly.newcomer import newcomers
from tenantry.domain.anomaly.planned import PlannedEvent, muted
from tenantry.domain.anomaly.settings import Settings


class Kind(StrEnum):
    """By how long the use was unusual when it was noticed."""

    SPIKE = "spike"  # one hour
    SURGE = "surge"  # three hours
    STEP = "step"  # a day
    LEAK = "leak"  # days of growth


WINDOWS = {Kind.SPIKE: 1, Kind.SURGE: 3, Kind.STEP: DAY_H}


@dataclass(frozen=True, slots=True)
class Noticed:
    """Use over normal, noticed when `hour` (since 1970) had ended. `excess` is in tokens."""

    hour: int
    kind: Kind
    excess: int


@dataclass(frozen=True, slots=True)
class _Finding:
    kind: Kind
    window: Judged


def alerts_of(
    series: Series,
    settings: Settings | None = None,
    prior: CohortPrior | None = None,
    planned: Sequence[PlannedEvent] = (),
) -> list[Noticed]:
    """The alerts of one tenant, in order. Each looks at hours up to its own only."""
    settings, prior = settings or Settings(), prior or CohortPrior()
    found = (
        finding
        for finding in _findings(series, settings, prior)
        if not muted(planned, series.start + finding.window.at, finding.window.hours)
        and _matters(series, finding, settings)
    )
    in_order = sorted(found, key=lambda finding: (finding.window.at, finding.window.hours))
    return [
        Noticed(series.start + finding.window.at, finding.kind, finding.window.excess)
        for finding in _news(in_order, settings)
    ]


def _findings(series: Series, settings: Settings, prior: CohortPrior) -> Iterator[_Finding]:
    for kind, hours in WINDOWS.items():
        if not _can_matter(series, hours, settings):
            continue
        for window in newcomers(series, hours, prior, settings.scores[hours]):
            yield _Finding(kind, window)
        for window in judged(series, hours, prior):
            if window.score >= settings.scores[hours]:
                yield _Finding(kind, window)
    if _can_matter(series, WEEK_H, settings):
        for window in leaks(series, prior):
            yield _Finding(Kind.LEAK, window)


def _can_matter(series: Series, hours: int, settings: Settings) -> bool:
    """Whether any excess could reach the floor: none is more than what its window used. Most
    tenants of many are small, and to judge each of their hours is what costs.
    """
    return max(sums_of(series.tokens, hours), default=0) >= settings.floor.tokens


def _matters(series: Series, finding: _Finding, settings: Settings) -> bool:
    window = finding.window
    charge = series.charge_of(window.at, window.hours)
    return settings.floor.passed(window.excess, window.used, charge)


def _news(findings: Iterable[_Finding], settings: Settings) -> Iterator[_Finding]:
    """The first of each episode: what goes on, or comes back before the cool-down, is no news."""
    last_seen: dict[bool, int] = {}
    last_told: dict[bool, int] = {}
    for finding in findings:
        at, slow = finding.window.at, finding.kind is Kind.LEAK
        quiet = at - last_seen.get(slow, -settings.cool_down_h - 1)
        told = at - last_told.get(slow, -settings.remind_h)
        last_seen[slow] = at
        if quiet > settings.cool_down_h or told >= settings.remind_h:
            last_told[slow] = at
            yield finding
