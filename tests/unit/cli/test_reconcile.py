"""What `tenantry reconcile` refuses before it opens anything."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from tenantry.entrypoints.cli.reconcile import month_of, reconcile


@pytest.mark.parametrize(
    "options",
    [
        ["--invariants", "--from", "2026-11-01"],
        ["--invariants", "--logs", "."],
        ["--from", "2026-11-02", "--to", "2026-11-02"],
        ["--invariants", "--true-up"],
        ["--log-delay-s", "-1"],
    ],
)
def test_wrong_usage_is_told(options: list[str]) -> None:
    assert CliRunner().invoke(reconcile, options).exit_code == 2


@pytest.mark.parametrize(
    ("until", "month"),
    [
        (datetime(2026, 11, 23, 18, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
        (datetime(2027, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_without_a_begin_it_is_the_month(until: datetime, month: datetime) -> None:
    assert month_of(until) == month
