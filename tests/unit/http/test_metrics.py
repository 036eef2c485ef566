"""Counters that workers share."""

from datetime import timedelta

from tenantry.domain.alert import SEVERITIES
from tenantry.entrypoints.http.metrics import (
    Counters,
    alerts_exposition,
    attempts_exposition,
    cells_for,
    clock_exposition,
    forget_living,
    info_exposition,
    ledger_exposition,
    rounds_exposition,
)
from tenantry.ports.model import ANSWERED, OUTCOMES
from tenantry.ports.round_marks import LastRound

LABELS = ("GET /a", "POST /b/{id}")


def test_rows_of_all_workers_are_added_up() -> None:
    board = [0] * cells_for(2)
    first, second = (Counters(board, LABELS, worker) for worker in range(2))
    for counters, label, status, duration_s in (
        (first, "GET /a", 200, 0.5),
        (second, "GET /a", 204, 0.25),
        (second, "POST /b/{id}", 429, 0.0),
        (first, None, 404, 0.0),
    ):
        counters.begin()
        counters.end(label, status, duration_s)
    text = second.exposition()
    assert text == first.exposition()
    assert 'tenantry_http_requests_total{method="GET",route="/a",status="2xx"} 2' in text
    assert 'tenantry_http_request_seconds_total{method="GET",route="/a"} 0.750000' in text
    assert '{method="POST",route="/b/{id}",status="4xx"} 1' in text
    assert '{method="none",route="",status="4xx"} 1' in text


def test_requests_in_flight_are_those_of_workers_that_live() -> None:
    board = [0] * cells_for(3)
    workers = [Counters(board, LABELS, worker) for worker in range(3)]
    for counters in (*workers, workers[0], workers[1]):
        counters.begin()
    workers[0].end("GET /a", 200, 0.5)

    def in_flight() -> str:
        return workers[0].exposition().rpartition("tenantry_http_requests_in_flight ")[2]

    assert in_flight() == "4\n"
    Counters(board, LABELS, 1)  # the successor of one that died with two
    assert in_flight() == "2\n"
    forget_living(board, 2)  # it died and has no successor in its place
    assert in_flight() == "1\n"
    assert 'route="/a",status="2xx"} 1\n' in workers[0].exposition(), "what was answered stays"


def test_every_metric_says_what_it_is_before_its_values() -> None:
    counters = Counters([0] * cells_for(1), LABELS, 0)
    counters.begin()
    counters.end("GET /a", 200, 0.5)
    text = counters.exposition() + alerts_exposition({("budget.refused", "critical"): 1})
    told: list[str] = []
    for line in (text + ledger_exposition(False)).splitlines():
        name = line.split()[2] if line.startswith("#") else line.split("{")[0].split()[0]
        told.append(f"{name} {line.split()[1] if line.startswith('#') else 'value'}")
    for name in ("tenantry_http_requests_total", "tenantry_http_request_seconds_total"):
        assert told.index(f"{name} HELP") + 1 == told.index(f"{name} TYPE")
        assert told.index(f"{name} TYPE") + 1 == told.index(f"{name} value")
    for name in ("tenantry_http_requests_in_flight", "tenantry_alerts_total", "tenantry_ledger_up"):
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


def test_a_skew_of_the_clocks_is_told_in_seconds() -> None:
    assert clock_exposition(timedelta(seconds=-3600)).endswith(
        "\ntenantry_clock_ahead_seconds -3600.000\n"
    )


def test_attempts_are_counted_by_outcome_over_all_workers_from_zero() -> None:
    board = [0] * cells_for(2)
    first, second = (Counters(board, LABELS, worker) for worker in range(2))
    for counters, outcome in ((first, ANSWERED), (second, ANSWERED), (second, "unreachable")):
        counters.attempted(outcome)
    first.begin()
    lines = first.exposition().splitlines()
    assert 'tenantry_upstream_attempts_total{outcome="answered"} 2' in lines
    assert 'tenantry_upstream_attempts_total{outcome="unreachable"} 1' in lines
    assert 'tenantry_upstream_attempts_total{outcome="throttled"} 0' in lines
    found = [line for line in lines if line.startswith("tenantry_upstream_attempts_total")]
    assert len(found) == len(OUTCOMES)
    Counters(board, LABELS, 1)  # the successor of one that died
    assert 'tenantry_upstream_attempts_total{outcome="answered"} 2' in first.exposition()


def test_what_a_deployment_is_called_can_be_any_text() -> None:
    (line,) = [each for each in info_exposition('a"b\\c\nd', "1.2").splitlines() if each[0] != "#"]
    assert line == 'tenantry_info{env="a\\"b\\\\c\\nd",version="1.2"} 1'


def test_attempts_that_have_not_ended_are_told_by_state_from_zero() -> None:
    lines = attempts_exposition({"unknown": (3, 4_000.25)}).splitlines()
    assert 'tenantry_attempts{state="open"} 0' in lines
    assert 'tenantry_attempts{state="unknown"} 3' in lines
    assert 'tenantry_attempts_oldest_age_seconds{state="unknown"} 4000.250' in lines
    assert 'tenantry_attempts_oldest_age_seconds{state="batch"} 0.000' in lines


def test_each_round_tells_when_it_last_ended_and_how_often_it_should() -> None:
    text = rounds_exposition([LastRound("sweep", 2.0, 1_795_935_950.5)])
    name = "tenantry_background_last_round_timestamp_seconds"
    assert f'{name}{{round="sweep"}} 1795935950.500' in text.splitlines()
    assert 'tenantry_background_round_period_seconds{round="sweep"} 2' in text.splitlines()
    failures = "tenantry_background_round_failures_total"
    assert f'{failures}{{round="sweep"}} 0' in text.splitlines()
    failing = LastRound("sweep", 2.0, 1_795_935_950.5, 7, 1_795_935_960.0, "No space left")
    assert f'{failures}{{round="sweep"}} 7' in rounds_exposition([failing]).splitlines()
    assert rounds_exposition([]) == ""
