"""All that is watched of a tenant's hours, as one list of what is news.

| kind | unusual |
|---|---|
| `spike`, `surge`, `step`, `leak` | more tokens: `detector.py` |
| `silence` | no request: `silence.py` |
| `request_size` | more tokens a request: `ratios.py` |
| `cache_hits` | less input from the cache: `ratios.py` |
| `throttled` | upstream throttles: `throttles.py` |
"""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.domain.anomaly.cohort import CohortPrior
from tenantry.domain.anomaly.detector import WINDOWS, Kind, Noticed, alerts_of
from tenantry.domain.anomaly.facts import FactSeries
from tenantry.domain.anomaly.finding import Finding, Unit, news
from tenantry.domain.anomaly.hours import WEEK_H
from tenantry.domain.anomaly.planned import PlannedEvent, muted
from tenantry.domain.anomaly.ratios import cache_misses, request_sizes
from tenantry.domain.anomaly.settings import Settings
from tenantry.domain.anomaly.silence import silences
from tenantry.domain.anomaly.throttles import throttles

LEAD_H = WEEK_H  # before the hours that are asked for: whether an episode had begun


def unusual(
    series: FactSeries,
    since: int,
    settings: Settings | None = None,
    prior: CohortPrior | None = None,
    planned: Sequence[PlannedEvent] = (),
) -> list[Finding]:
    """What is news in the hours from `since` (counted from 1970) on, in order. Each finding looks
    at hours up to its own only.
    """
    settings = settings or Settings()
    volume = [
        _to_finding(series, alert) for alert in alerts_of(series.usage, settings, prior, planned)
    ]
    first = max(0, since - LEAD_H - series.start)
    found = [
        silences(series, first),
        request_sizes(series, first, settings),
        cache_misses(series, first, settings),
        throttles(series, first),
    ]
    others = [
        finding
        for findings in found
        for finding in news(
            sorted(
                (each for each in findings if not muted(planned, each.hour, each.hours)),
                key=lambda each: (each.hour, each.hours),
            ),
            settings.cool_down_h,
            settings.remind_h,
        )
    ]
    told = [finding for finding in (*volume, *others) if finding.hour >= since]
    return sorted(told, key=lambda finding: (finding.hour, finding.kind))


def _to_finding(series: FactSeries, alert: Noticed) -> Finding:
    hours = WEEK_H if alert.kind is Kind.LEAK else WINDOWS[alert.kind]
    at = alert.hour - series.start
    used = sum(series.usage.tokens[max(0, at + 1 - hours) : at + 1])
    return Finding(
        alert.kind.value, alert.hour, hours, used, used - alert.excess, Unit.TOKENS, alert.excess
    )
