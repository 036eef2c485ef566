"""`tenantry alerts list` shows what alerts have, each under its heading, and no column without
anything."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from tests.support.http_alerts import MemoryAlerts, alert

from tenantry.domain.alert import Alert
from tenantry.entrypoints.cli import alerts

OF_USAGE = alert(1, "acme", "usage.spike")
OF_A_BUDGET = replace(
    alert(2, "bolt", "budget.threshold"), excess_tokens=None, excess_charge=None, detail={}
)
OF_BOTH = {
    "raised at": "2026-11-20 13:00:00Z",
    "tenant": "acme",
    "kind": "usage.spike",
    "subject": "tenant",
    "severity": "warning",
    "state": "open",
    "observed": "900000",
    "expected": "100000",
    "unit": "tokens",
    "excess tokens": "800,000",
    "excess charge": "7.2",
    "about": "hours 1",
    "id": OF_USAGE.id,
}


def listed(monkeypatch: pytest.MonkeyPatch, *stored: Alert) -> list[dict[str, str]]:
    """Rows of the table, by its headings."""
    book = MemoryAlerts()
    book.stored = list(stored)
    monkeypatch.setattr(alerts, "run_with_alerts", lambda work: asyncio.run(work(None, book)))
    done = CliRunner().invoke(alerts.alerts, ["list"])
    assert done.exit_code == 0, done.output
    headings, *rows = (re.split(" {2,}", line.strip()) for line in done.stdout.splitlines())
    return [dict(zip(headings, row, strict=True)) for row in rows]


def test_each_figure_stands_under_its_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    [of_budget, of_usage] = listed(monkeypatch, OF_USAGE, replace(OF_A_BUDGET, detail={"hours": 2}))
    assert of_usage == OF_BOTH
    assert (of_budget["excess tokens"], of_budget["about"]) == ("–", "hours 2")


def test_what_no_alert_has_takes_no_column(monkeypatch: pytest.MonkeyPatch) -> None:
    [of_budget] = listed(monkeypatch, OF_A_BUDGET)
    assert list(of_budget) == [
        name for name in OF_BOTH if name not in ("excess tokens", "excess charge", "about")
    ]
