"""The detector on tenants whose truth is known, with the plain one beside it.

`pytest tests/simulation/test_unusual_usage.py --usage-seed 7` judges it on any other seed;
`--log-cli-level info` shows the figures.
"""

from __future__ import annotations

import logging

import pytest
from tests.support.ewma import ewma_alerts
from tests.support.usage_scores import Score, scored
from tests.support.usage_simulation import DAYS, EVENTS, SHAPES, TENANTS, tenants

from tenantry.domain.anomaly import alerts_of, series_of
from tenantry.domain.anomaly.baseline import compared
from tenantry.domain.anomaly.cohort import WIDTHS
from tenantry.domain.anomaly.robust import median, spread

_log = logging.getLogger(__name__)

SEEDS = (1, 2, 3, 4, 5)
FEW_TENANTS = 60

RECALL_MIN = 0.80
LEAK_RECALL_MIN = 0.75
PRECISION_MIN = 0.45
FALSE_A_MONTH_MAX = 0.25


def judge(seed: int, count: int = TENANTS) -> None:
    ours, plain = scored(tenants(seed, count), alerts_of, ewma_alerts)
    _log.info("seed %d, %d tenants: robust %s; EWMA %s", seed, count, ours, plain)
    assert ours.recall >= RECALL_MIN
    assert ours.leak_recall >= LEAK_RECALL_MIN
    assert ours.precision >= PRECISION_MIN
    assert ours.false_a_month <= FALSE_A_MONTH_MAX
    assert plain.precision < PRECISION_MIN / 2
    assert plain.false_a_month > 4 * FALSE_A_MONTH_MAX


def test_it_finds_what_matters_and_little_else(request: pytest.FixtureRequest) -> None:
    given = request.config.getoption("--usage-seed")
    if given is None:
        judge(SEEDS[0], FEW_TENANTS)
    else:
        judge(given)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_it_does_so_on_every_committed_seed(seed: int) -> None:
    judge(seed)


def test_a_seed_gives_the_same_tenants() -> None:
    first, again, other = (list(tenants(seed, 5)) for seed in (1, 1, 2))
    assert first == again
    assert [tenant.rows for tenant in first] != [tenant.rows for tenant in other]


def test_the_simulation_has_every_shape_and_event() -> None:
    made = list(tenants(1, FEW_TENANTS))
    assert {tenant.shape for tenant in made} == set(SHAPES)
    assert {tenant.event.kind for tenant in made if tenant.event} == set(EVENTS)
    assert {len(tenant.rows) for tenant in made} == {DAYS * 24}


def test_a_detector_that_says_nothing_or_everything_is_bad() -> None:
    mute, loud = scored(
        tenants(1, 20), lambda _: [], lambda series: ewma_alerts(series, score=-9.0)
    )
    assert mute.recall == 0 < loud.recall
    assert loud.false_a_month > FALSE_A_MONTH_MAX
    assert loud.precision < PRECISION_MIN
    assert Score().recall == 0


@pytest.mark.parametrize("hours", sorted(WIDTHS))
def test_the_cohort_is_as_wide_as_its_tenants(hours: int) -> None:
    """Of tenants that count enough requests for their own spread to show."""
    seen = [
        spread([window.residual for window in compared(series_of(tenant.rows), hours)])
        for tenant in tenants(1, FEW_TENANTS)
        if tenant.shape != "sparse"
    ]
    assert median(seen) == pytest.approx(WIDTHS[hours], rel=0.15)
