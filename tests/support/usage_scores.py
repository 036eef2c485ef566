"""How well a detector did on simulated tenants, whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.support.usage_simulation import SimulatedTenant

from tenantry.domain.anomaly import Noticed, Series, series_of

MONTH_H = 730
GRACE_H = 24  # after an event: a day's window still holds it


@dataclass
class Score:
    """Counts over any number of tenants; an alert within an event, material or not, is true."""

    hours: int = 0
    true: int = 0
    false: int = 0
    material: int = 0
    recalled: int = 0
    leaks: int = 0
    leaks_recalled: int = 0
    by_kind: dict[str, list[int]] = field(default_factory=dict)

    @property
    def precision(self) -> float:
        return self.true / max(1, self.true + self.false)

    @property
    def recall(self) -> float:
        return self.recalled / max(1, self.material)

    @property
    def leak_recall(self) -> float:
        return self.leaks_recalled / max(1, self.leaks)

    @property
    def false_a_month(self) -> float:
        """False alerts of a tenant in a month."""
        return self.false * MONTH_H / max(1, self.hours)

    def add(self, tenant: SimulatedTenant, alerts: Iterable[Noticed]) -> None:
        self.hours += len(tenant.rows)
        event = tenant.event
        hits = 0
        for alert in alerts:
            hit = event is not None and event.start <= alert.hour < event.end + GRACE_H
            hits += hit
            self.true += hit
            self.false += not hit
        if event is None or not event.material:
            return
        seen = self.by_kind.setdefault(event.kind, [0, 0])
        seen[0] += hits > 0
        seen[1] += 1
        self.material += 1
        self.recalled += hits > 0
        self.leaks += event.kind == "leak"
        self.leaks_recalled += event.kind == "leak" and hits > 0

    def __str__(self) -> str:
        return (
            f"recall {self.recall:.2f}, leaks {self.leak_recall:.2f}, precision"
            f" {self.precision:.2f}, false alerts a tenant-month {self.false_a_month:.2f},"
            f" by kind {self.by_kind}"
        )


def scored(
    tenants: Iterable[SimulatedTenant], *detectors: Callable[[Series], list[Noticed]]
) -> list[Score]:
    """One score for each detector, all on the same hours."""
    scores = [Score() for _ in detectors]
    for tenant in tenants:
        series = series_of(tenant.rows)
        for detector, score in zip(detectors, scores, strict=True):
            score.add(tenant, detector(series))
    return scores
