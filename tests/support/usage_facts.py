"""Simulated tenants with all that is watched: sizes of requests, caches, throttles, silence.

Over the hours of `usage_simulation.py`: the size of a request wobbles by day and hour (gamma,
variance 1 % and 2 %), the cache serves a share of input that is each tenant's own (of a third:
none) and wobbles by a twentieth, and upstream throttles one attempt in 500. Half have one event
after day 35: no request for 24 hours, requests 2.5 times as large for 24, a cache that serves a
fifth of its share for 24, or 30 % of attempts throttled for 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tests.support.usage_simulation import DAYS, FIRST_EVENT_DAY, TOKENS_PER_REQUEST, tenants

from tenantry.domain.anomaly import FactSeries, HourFacts, facts_of

LENGTHS = {"silence": 24, "request_size": 24, "cache_hits": 24, "throttled": 6}
OUT_SHARE = 0.2
THROTTLED_SHARE = 0.002
# What an event must come to, to be worth hearing of: above the floors of the detector.
TOKENS_MIN = 400_000
REQUESTS_MIN = 400
ATTEMPTS_MIN = 40


@dataclass(frozen=True, slots=True)
class FactsEvent:
    kind: str
    start: int
    end: int
    material: bool


@dataclass(frozen=True, slots=True)
class FactsTenant:
    name: str
    series: FactSeries
    event: FactsEvent | None


def facts_tenants(seed: int, count: int) -> Iterator[FactsTenant]:
    """The same tenants for the same seed. Their volume has no event: that is tried elsewhere."""
    random = np.random.default_rng(seed + 10_000)
    for tenant in tenants(seed, 2 * count):
        if tenant.event is not None:
            continue
        yield _tenant(random, tenant.name, tenant.rows[0].hour, tenant.rows)


def _tenant(random: np.random.Generator, name: str, start: int, rows: object) -> FactsTenant:
    hours = DAYS * 24
    requests = np.array([row.requests for row in rows])  # type: ignore[attr-defined]
    wobble = np.repeat(random.gamma(100, 0.01, DAYS), 24) * random.gamma(50, 0.02, hours)
    size = TOKENS_PER_REQUEST * wobble
    share = 0.0 if random.random() < 1 / 3 else random.uniform(0.2, 0.9)
    cached = np.clip(share * random.normal(1.0, 0.05, hours), 0.0, 0.95)
    refused = np.full(hours, THROTTLED_SHARE)
    event = None
    if random.random() < 0.5:
        kind = str(random.choice(list(LENGTHS)))
        at = int(random.integers(FIRST_EVENT_DAY * 24, hours - LENGTHS[kind]))
        span = slice(at, at + LENGTHS[kind])
        tokens = float((requests * size)[span].sum())
        worth = {
            "silence": requests[span].sum() >= REQUESTS_MIN,
            "request_size": 1.5 * tokens >= TOKENS_MIN and requests[span].sum() >= REQUESTS_MIN,
            "cache_hits": tokens * (1 - OUT_SHARE) * share * 0.8 >= TOKENS_MIN,
            "throttled": 0.3 / 0.7 * requests[span].sum() >= ATTEMPTS_MIN,
        }
        event = FactsEvent(kind, start + at, start + span.stop, bool(worth[kind]))
        if kind == "silence":
            requests[span] = 0
        elif kind == "request_size":
            size[span] *= 2.5
        elif kind == "cache_hits":
            cached[span] *= 0.2
        else:
            refused[span] = 0.3
    throttled = random.poisson(requests * refused / (1 - refused))
    facts = []
    for at in range(hours):
        used = int(requests[at] * size[at])
        given = int(used * (1 - OUT_SHARE))
        if used or throttled[at]:
            facts.append(
                HourFacts(
                    start + at, int(requests[at]), used, given, int(given * cached[at]),
                    int(throttled[at]),
                )
            )  # fmt: skip
    return FactsTenant(name, facts_of(facts, start + hours), event)
