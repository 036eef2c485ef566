"""`RateLimit`: what is left of the tightest limit, as admission left it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.core import plan, principal

from tenantry.domain.tenant import Tenant
from tenantry.entrypoints.http.ratelimit import left_header
from tenantry.ports.admission import Admitted

LATE = datetime(2026, 12, 1, 23, 59, tzinfo=UTC)


def limited(**limits: int) -> Tenant:
    return principal("acme", plan(**limits)).tenant


def admitted(at: datetime = LATE, **left: Any) -> Admitted:
    return Admitted(at, at - timedelta(days=1), left)


@pytest.mark.parametrize(
    ("limits", "left", "header"),
    [
        ({}, {}, ""),
        ({}, {"budget": 5}, ""),
        ({"requests_per_minute": 10}, {"requests_per_minute": 9}, '"requests_per_minute";r=9;t=60'),
        (
            {"requests_per_minute": 10, "tokens_per_minute": 20_000},
            {"requests_per_minute": 9, "tokens_per_minute": 100},
            '"tokens_per_minute";r=100;t=60',
        ),
        (
            {"requests_per_minute": 10, "requests_per_day": 100},
            {"requests_per_minute": 9, "requests_per_day": 3},
            '"requests_per_day";r=3;t=61',
        ),
        ({"requests_per_day": 100}, {"requests_per_day": -2}, '"requests_per_day";r=0;t=61'),
        ({}, {"requests_per_day": 3}, ""),
    ],
)
def test_the_limit_with_the_least_share_left(
    limits: dict[str, int], left: dict[str, int], header: str
) -> None:
    assert left_header(limited(**limits), admitted(**left)) == header
