"""Alerts, announced use and forecasts on the operator's port."""

from typing import Any

import orjson
import pytest
from tests.support.http_alerts import MemoryAlerts
from tests.support.http_edge import Edge
from tests.support.http_plain import Reply, post_json, send
from tests.support.http_services import OPERATOR_TOKEN

from tenantry.domain.errors import Unavailable

MUTE = {
    "tenant": "acme",
    "starts_at": "2026-12-01T00:00:00Z",
    "ends_at": "2026-12-02T00:00:00Z",
    "reason": "launch",
}


@pytest.fixture
def edge(edge: Edge) -> Edge:
    edge.services.alerts.__dict__ |= MemoryAlerts().__dict__
    return edge


def get(edge: Edge, path: str) -> Any:
    status, _, body = send(edge, "GET", f"/admin/v1{path}", key=OPERATOR_TOKEN, admin=True)
    assert status == 200, body
    return orjson.loads(body)


def post(edge: Edge, path: str, value: Any) -> Reply:
    return post_json(edge, f"/admin/v1{path}", value, key=OPERATOR_TOKEN, admin=True)


def kinds(edge: Edge, query: str) -> list[str]:
    return [alert["kind"] for alert in get(edge, f"/alerts?{query}")["data"]]


def test_alerts_come_newest_first_and_by_page(edge: Edge) -> None:
    first = get(edge, "/alerts?limit=3")
    assert [a["kind"] for a in first["data"]][:2] == ["usage.silence", "budget.threshold"]
    second = get(edge, f"/alerts?limit=3&cursor={first['next_cursor']}")
    assert [a["kind"] for a in second["data"]] == ["usage.spike"]
    assert second["next_cursor"] is None
    assert second["data"][0]["excess_charge"] == "7.2"


def test_they_are_chosen_by_tenant_time_and_state(edge: Edge) -> None:
    assert kinds(edge, "tenant=bolt") == ["usage.silence"]
    assert kinds(edge, "tenant=acme&since=2026-11-20T14:00:00Z") == ["budget.threshold"]
    (silence,) = get(edge, "/alerts?tenant=bolt")["data"]
    for _ in range(2):
        status, _, body = post(edge, f"/alerts/{silence['id']}/acknowledge", {})
        assert (status, orjson.loads(body)["state"]) == (200, "acknowledged")
    assert kinds(edge, "state=acknowledged") == ["usage.silence"]
    assert "usage.silence" not in kinds(edge, "state=open")


def test_use_is_announced_and_taken_back(edge: Edge) -> None:
    status, _, body = post(edge, "/mutes", MUTE)
    made = orjson.loads(body)
    assert (status, made["reason"], made["tenant"]) == (201, "launch", "tnt_acme")
    assert [one["id"] for one in get(edge, "/mutes?tenant=acme")["data"]] == [made["id"]]
    assert get(edge, "/mutes?tenant=bolt")["data"] == []
    for tenant, status in (("bolt", 404), ("acme", 204), ("acme", 404)):
        path = f"/admin/v1/mutes/{made['id']}?tenant={tenant}"
        assert send(edge, "DELETE", path, key=OPERATOR_TOKEN, admin=True)[0] == status


def test_budgets_have_a_forecast(edge: Edge) -> None:
    (row,) = get(edge, "/budgets/forecast?tenant=acme")["data"]
    assert (row["settled"], row["low"], row["forecast"], row["high"]) == (
        "3.1",
        "4.9",
        "5.5",
        "6.2",
    )
    assert (row["limit"], row["passes_at"]) == ("5", "2026-11-29T12:00:00Z")


@pytest.mark.parametrize(
    "path",
    [
        "/alerts?state=closed",
        "/alerts?limit=0",
        "/alerts?since=yesterday",
        "/alerts?nonsense=1",
        "/mutes",
        "/budgets/forecast",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(edge: Edge, path: str) -> None:
    status, _, body = send(edge, "GET", f"/admin/v1{path}", key=OPERATOR_TOKEN, admin=True)
    assert (status, orjson.loads(body)["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "changed",
    [
        {"ends_at": "2026-12-01T00:00:00Z"},
        {"starts_at": "2026-12-01T00:00:00"},
        {"starts_at": "0001-01-01T00:00:00Z"},
        {"starts_at": "1999-12-31T23:59:59Z"},
        {"ends_at": "2200-01-01T00:00:01Z"},
        {"ends_at": "9999-12-31T23:59:59Z"},
        {"reason": " "},
        {"reason": "a\u0000b"},
        {"reason": "x" * 501},
        {"nonsense": 1},
    ],
)
def test_a_mute_that_makes_no_sense_is_refused(edge: Edge, changed: dict[str, Any]) -> None:
    status, _, body = post(edge, "/mutes", MUTE | changed)
    assert (status, orjson.loads(body)["code"]) == (400, "bad_request")
    assert get(edge, "/mutes?tenant=acme")["data"] == []


def test_unknown_tenants_and_alerts_are_404(edge: Edge) -> None:
    assert post(edge, "/mutes", MUTE | {"tenant": "nobody"})[0] == 404
    assert post(edge, "/alerts/alr_x/acknowledge", {})[0] == 404
    for path in ("/alerts?tenant=nobody", "/budgets/forecast?tenant=nobody"):
        assert send(edge, "GET", f"/admin/v1{path}", key=OPERATOR_TOKEN, admin=True)[0] == 404


def test_alerts_are_counted_for_prometheus(edge: Edge) -> None:
    text = send(edge, "GET", "/metrics", key=None, admin=True)[2].decode()
    assert 'tenantry_alerts_total{kind="usage.spike",severity="warning"} 1' in text
    edge.services.alerts.outage = Unavailable()
    status, _, body = send(edge, "GET", "/metrics", key=None, admin=True)
    assert (status, b"tenantry_alerts_total" in body) == (200, False)
    assert b"tenantry_http_requests_total" in body
