"""Counters that workers share."""

from tenantry.entrypoints.http.metrics import Counters, cells_for

LABELS = ("GET /a", "POST /b/{id}")


def test_rows_of_all_workers_are_added_up() -> None:
    board = [0] * cells_for(len(LABELS), 2)
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
