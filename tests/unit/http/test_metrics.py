"""Counters that workers share."""

from tenantry.domain.alert import SEVERITIES
from tenantry.entrypoints.http.metrics import (
    Counters,
    alerts_exposition,
    cells_for,
    ledger_exposition,
)

LABELS = ("GET /a", "POST /b/{id}")


def test_rows_of_all_workers_are_added_up() -> None:
    board = [0] * cells_for(2)
    first, second = (Counters(board, LABELS, worker) for worker in range(2))
    first.count("GET /a", 200, 0.5)
    second.count("GET /a", 204, 0.25)
    second.count("POST /b/{id}", 429, 0)
    first.count(None, 404, 0)
    text = second.exposition()
    assert text == first.exposition()
    assert 'tenantry_http_requests_total{method="GET",route="/a",status="2xx"} 2' in text
    assert 'tenantry_http_request_seconds_total{method="GET",route="/a"} 0.750000' in text
    assert '{method="POST",route="/b/{id}",status="4xx"} 1' in text
    assert '{method="none",route="",status="4xx"} 1' in text


def test_every_metric_says_what_it_is_before_its_values() -> None:
    counters = Counters([0] * cells_for(1), LABELS, 0)
    counters.count("GET /a", 200, 0.5)
    text = counters.exposition() + alerts_exposition({("budget.refused", "critical"): 1})
    told: list[str] = []
    for line in (text + ledger_exposition(False)).splitlines():
        name = line.split()[2] if line.startswith("#") else line.split("{")[0].split()[0]
        told.append(f"{name} {line.split()[1] if line.startswith('#') else 'value'}")
    for name in ("tenantry_http_requests_total", "tenantry_http_request_seconds_total"):
        assert told.index(f"{name} HELP") + 1 == told.index(f"{name} TYPE")
        assert told.index(f"{name} TYPE") + 1 == told.index(f"{name} value")
    for name in ("tenantry_alerts_total", "tenantry_ledger_up"):
        assert told.index(f"{name} HELP") + 1 == told.index(f"{name} TYPE")
        assert told.index(f"{name} TYPE") + 1 == told.index(f"{name} value")


def test_an_alert_that_was_never_raised_is_counted_from_zero() -> None:
    lines = alerts_exposition({("usage.leak", "critical"): 2}).splitlines()
    assert 'tenantry_alerts_total{kind="usage.leak",severity="critical"} 2' in lines
    assert 'tenantry_alerts_total{kind="usage.leak",severity="warning"} 0' in lines
    assert len(lines) == len(set(lines)) == 2 + sum(map(len, SEVERITIES.values()))


def test_the_ledger_is_up_or_not() -> None:
    assert ledger_exposition(True).endswith("\ntenantry_ledger_up 1\n")
    assert ledger_exposition(False).endswith("\ntenantry_ledger_up 0\n")
