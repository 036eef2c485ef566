"""The operator's port."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support import http_services
from tests.support.http_edge import Edge
from tests.support.http_plain import Reply, post_json, send
from tests.support.http_services import OPERATOR_TOKEN

from tenantry.domain.errors import Unavailable
from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.routes import Access

NO_PRICES = "model,tier,over_tokens,class,usd_per_million\n"
OPERATOR_ROUTES = [route for route in ADMIN_PLANE.routes if route.access is Access.OPERATOR]


def get(edge: Edge, path: str) -> Any:
    status, _, body = send(edge, "GET", f"/admin/v1{path}", key=OPERATOR_TOKEN, admin=True)
    assert status == 200, body
    return orjson.loads(body)


def post(edge: Edge, path: str, value: Any) -> Reply:
    return post_json(edge, f"/admin/v1{path}", value, key=OPERATOR_TOKEN, admin=True)


@pytest.mark.parametrize("route", OPERATOR_ROUTES, ids=lambda r: f"{r.method} {r.template}")
@pytest.mark.parametrize("key", [None, "", "tk_acme", OPERATOR_TOKEN[:-1], "é"])
def test_only_the_operators_token_opens_the_control_plane(
    edge: Edge, route: Any, key: str | None
) -> None:
    path = route.template.replace("{tenant}", "acme").replace("{key}", "k").replace("{number}", "1")
    status, _, body = send(edge, route.method, path, key=key, admin=True)
    assert (status, orjson.loads(body)["status"]) == (401, 401)
    assert (b"is empty" in body) == (key == "")


SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIA/20261201/us-east-1/bedrock/aws4_request,"
    " SignedHeaders=host, Signature=00"
)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer"},
        {"authorization": SIGNED},
        {"authorization": "Basic Og=="},
        {"x-api-key": ""},
    ],
)
def test_an_empty_token_would_open_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(http_services, "OPERATOR_TOKEN", "")
    with Edge(tmp_path) as edge:
        path = "/admin/v1/tenants"
        assert send(edge, "GET", path, key=None, headers=headers, admin=True)[0] == 401


def test_the_data_plane_has_no_admin_routes(edge: Edge) -> None:
    assert send(edge, "GET", "/admin/v1/tenants", key=OPERATOR_TOKEN)[0] == 404
    assert send(edge, "GET", "/metrics", key=None)[0] == 404


def test_a_tenant_and_its_key(edge: Edge) -> None:
    status, _, body = post(edge, "/tenants", {"name": "nova", "plan": "free", "zone": "Asia/Tokyo"})
    assert (status, orjson.loads(body)["zone"]) == (201, "Asia/Tokyo")
    status, headers, body = post(edge, "/keys", {"tenant": "nova", "scopes": ["infer"]})
    key = orjson.loads(body)
    assert (status, key["key"], headers["cache-control"]) == (201, "tk_secret", "no-store")
    (listed,) = get(edge, "/keys?tenant=nova")["data"]
    assert listed["scopes"] == ["infer"]
    assert "secret" not in str(listed)
    path = f"/admin/v1/keys/{key['id']}?tenant=nova"
    assert send(edge, "DELETE", path, key=OPERATOR_TOKEN, admin=True)[0] == 204
    assert get(edge, "/keys?tenant=nova")["data"][0]["revoked_at"] is not None
    assert "tnt_nova" in edge.services.directory.forgotten
    assert get(edge, "/keys?tenant=acme")["data"] == []


def test_suspend_and_resume(edge: Edge) -> None:
    assert orjson.loads(post(edge, "/tenants/bolt/suspend", {})[2])["status"] == "suspended"
    assert orjson.loads(post(edge, "/tenants/bolt/resume", {})[2])["status"] == "active"
    assert post(edge, "/tenants/nobody/suspend", {})[0] == 404


def test_lists_have_pages(edge: Edge) -> None:
    first = get(edge, "/tenants?limit=1")
    second = get(edge, f"/tenants?limit=1&cursor={first['next_cursor']}")
    assert first["data"][0]["name"] == "acme"
    assert second["data"][0]["name"] == "bolt"


def test_plans_budgets_prices_models_placements(edge: Edge) -> None:
    plan = {"requests_per_day": 100, "markup": "4"}
    assert post(edge, "/plans", {"plans": {"tiny": plan}})[0] == 200
    assert "tiny" in {plan["name"] for plan in get(edge, "/plans")["data"]}
    budget = {"tenant": "acme", "scope": "tenant", "period": "month", "limit": "5.00"}
    assert post(edge, "/budgets", budget)[0] == 201
    assert get(edge, "/budgets?tenant=acme")["data"][0]["limit"] == "5"
    assert get(edge, "/budgets?tenant=bolt")["data"] == []
    prices = get(edge, "/prices")
    assert prices["prices"][0]["usd_per_million"] == "0.14"
    csv = "model,tier,over_tokens,class,usd_per_million\nx,default,0,out,1\n"
    edition = {"csv": csv, "effective_from": "2126-12-01T00:00:00Z", "source": "test"}
    status, _, body = post(edge, "/prices", edition)
    assert (status, orjson.loads(body)["code"]) == (400, "bad_request")
    assert "no model of the catalogue is priced by x:" in orjson.loads(body)["detail"]
    assert "`unknown_models`" in orjson.loads(body)["detail"]
    edition["unknown_models"] = True
    assert orjson.loads(post(edge, "/prices", edition)[2])["version"] == 1
    past = {**edition, "effective_from": "2020-01-01T00:00:00Z"}
    assert post(edge, "/prices", past)[0] == 400
    assert post(edge, "/prices", {**past, "backdated": True})[0] == 201
    models = get(edge, "/models")["data"]
    assert post(edge, "/models", {"models": models})[0] == 200
    placement = {"id": "p", "kind": "silo", "account": "2" * 12, "region": "eu-west-1"}
    status, _, stored = post(edge, "/placements", placement)
    assert (status, orjson.loads(stored)["regions"]) == (201, ["eu-west-1"])
    (shown,) = get(edge, "/placements")["data"]
    assert {name: shown[name] for name in placement} == placement


def test_an_edition_that_a_later_one_would_take_back_is_a_conflict(tmp_path: Path) -> None:
    def priced(price: str, year: int, **options: bool) -> dict[str, Any]:
        csv = f"model,tier,over_tokens,class,usd_per_million\nx,default,0,out,{price}\n"
        at = f"{year}-01-01T00:00:00Z"
        return {"csv": csv, "effective_from": at, "source": "s", "unknown_models": True, **options}

    with Edge(tmp_path) as edge:
        assert post(edge, "/prices", priced("1", 2200))[0] == 201
        status, _, body = post(edge, "/prices", priced("2", 2100))
        assert (status, orjson.loads(body)["code"]) == (409, "conflict")
        assert "edition 1 from 2200-01-01" in orjson.loads(body)["detail"]
        assert "`until_later`" in orjson.loads(body)["detail"]
        assert len(edge.services.control.editions) == 1
        assert post(edge, "/prices", priced("2", 2100, until_later=True))[0] == 201
        assert post(edge, "/prices", priced("1", 2050))[0] == 409
        assert post(edge, "/prices", priced("2", 2050))[0] == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tenants", {"name": "", "plan": "free"}),
        ("/tenants", {"name": "x", "plan": "free", "zone": "../../etc/passwd"}),
        ("/tenants", {"name": "x", "plan": "free", "anchor_day": 32}),
        ("/tenants", {"name": "x", "plan": "free", "currency": "dollars"}),
        ("/tenants", {"name": "x", "plan": "free", "nonsense": 1}),
        ("/plans", {"plans": {"p": {"markup": 1.5}}}),
        ("/plans", {"plans": {"p": {"nonsense": 1}}}),
        ("/keys", {"tenant": "acme", "scopes": ["root"]}),
        ("/keys", {"tenant": "acme", "expires_at": "2026-12-01T00:00:00"}),
        ("/budgets", {"tenant": "acme", "scope": "run", "period": "day", "limit": "1"}),
        ("/budgets", {"tenant": "acme", "scope": "tenant", "period": "day", "limit": "NaN"}),
        ("/budgets", {"tenant": "acme", "scope": "tenant", "period": "day", "limit": "x"}),
        ("/budgets", {"tenant": "acme", "scope": "tenant", "period": "day", "limit": 1}),
        ("/prices", {"csv": "x", "effective_from": "2026-12-01T00:00:00Z", "source": "s"}),
        ("/prices", {"csv": NO_PRICES, "effective_from": "2036-12-01T00:00:00Z", "source": "s"}),
        ("/models", {"models": [{"id": "x"}]}),
        ("/contracts", {"tenant": "acme", "tax_rate": "8.25"}),
        ("/contracts", {"tenant": "acme", "address": ["x"] * 9}),
        ("/contracts", {"tenant": "acme", "ends_on": "soon"}),
        ("/contracts", {"tenant": "acme", "zone": "UTC"}),
        ("/contracts/plans", {"tenant": "acme", "plan": "free", "at": "2999-01-01T00:00:00"}),
        ("/contracts", {"tenant": "acme", "tax_rate": "1e-1"}),
        ("/contracts", {"tenant": "acme", "currency": "EUE"}),
        ("/contracts/credits", {"tenant": "acme", "amount": "ten"}),
        ("/contracts/credits", {"tenant": "acme", "amount": "1_0"}),
        ("/contracts/credits", {"tenant": "acme", "amount": "1e200"}),
        ("/contracts/credits", {"tenant": "acme", "amount": "1", "note": "x" * 501}),
        ("/contracts/credits", {"tenant": "acme", "amount": "1", "note": "a\nb"}),
        ("/exchange-rates", {"quote": "EUR", "rate": "0", "day": "2026-01-01", "source": "x"}),
        ("/exchange-rates", {"quote": "EUR", "rate": " 1", "day": "2026-01-01", "source": "x"}),
        ("/exchange-rates", {"quote": "EUE", "rate": "1", "day": "2026-01-01", "source": "x"}),
        ("/exchange-rates", {"quote": "EUR", "rate": "1", "day": "today", "source": "x"}),
        ("/invoices/INV-2026-000007/credit", {"amount": "1e999999", "reason": "x"}),
        ("/invoices/INV-2026-000007/credit", {"amount": "9" * 200, "reason": "x"}),
        ("/invoices/INV-2026-000007/credit", {"amount": "\u0661", "reason": "x"}),
        ("/tenants", {"name": "new", "plan": "free", "currency": "EUE"}),
        ("/exchange-rates", {"quote": "USD", "rate": "1", "day": "2026-01-01", "source": "x"}),
        ("/invoices/finalise", {"tenant": "acme", "day": 7}),
        ("/invoices/INV-2026-000007/void", {}),
        ("/placements", {"id": "p", "kind": "silo", "account": "1", "region": "r"}),
        (
            "/placements",
            {
                "id": "p",
                "kind": "silo",
                "account": "2" * 12,
                "region": "r",
                "invocation_log": "https://bucket",
            },
        ),
    ],
)
def test_what_makes_no_sense_is_refused(edge: Edge, path: str, body: Any) -> None:
    status, _, answer = post(edge, path, body)
    assert (status, orjson.loads(answer)["code"]) == (400, "bad_request"), answer


@pytest.mark.parametrize(
    "changed",
    [
        {"id": ""},
        {"id": "-p"},
        {"id": "p" * 65},
        {"id": "a b"},
        {"account": "1" * 11},
        {"account": "١" * 12},
        {"region": "eu-west-1.evil.example/"},
        {"region": "EU-WEST-1"},
        {"regions": ["eu-west-1", "r"]},
        {"regions": ["eu-central-1"]},  # and not that of `region`
        {"endpoint_url": ""},
        {"endpoint_url": "ftp://bedrock.internal"},
        {"endpoint_url": "https://"},
        {"endpoint_url": "https://user:hidden@bedrock.internal"},
        {"endpoint_url": "https://bedrock.internal/path"},
        {"endpoint_url": "https://bedrock.internal:0"},
        {"endpoint_url": "https://bedrock.internal?x=1"},
        {"endpoint_url": "https://bed\trock.internal"},
        {"invocation_log": "https://bucket"},
    ],
)
def test_a_placement_that_nothing_could_be_called_with_is_refused(
    edge: Edge, changed: dict[str, Any]
) -> None:
    placement = {"id": "odd", "kind": "silo", "account": "2" * 12, "region": "eu-west-1"}
    before = get(edge, "/placements")["data"]
    status, _, answer = post(edge, "/placements", placement | changed)
    assert (status, orjson.loads(answer)["code"]) == (400, "bad_request"), answer
    assert b"hidden" not in answer
    assert get(edge, "/placements")["data"] == before


def test_a_placement_with_an_endpoint_of_its_own(edge: Edge) -> None:
    placement = {
        "id": "Silo.eu_1-a",
        "kind": "silo",
        "account": "0" * 12,
        "region": "eusc-de-east-1",
        "regions": ["us-gov-west-1", "eusc-de-east-1"],
        "endpoint_url": "https://[::1]:8443/",
    }
    assert post(edge, "/placements", placement)[0] == 201


def test_usage_and_invoices_of_a_tenant(edge: Edge) -> None:
    assert get(edge, "/usage?tenant=acme&group_by=key")["data"][0]["charge"] == "4"
    number = get(edge, "/invoices?tenant=bolt")["data"][0]["number"]
    assert get(edge, f"/invoices/{number}?tenant=bolt")["customer"]["name"] == "bolt"
    final = get(edge, "/invoices?tenant=acme")["data"][-1]
    assert get(edge, f"/invoices/{final['number']}")["sha256"] == final["sha256"]
    status, _, _ = send(edge, "GET", "/admin/v1/invoices/INV-1", key=OPERATOR_TOKEN, admin=True)
    assert status == 404


def test_health_readiness_and_metrics(edge: Edge) -> None:
    assert send(edge, "GET", "/healthz", key=None, admin=True)[0] == 200
    assert send(edge, "GET", "/readyz", key=None, admin=True)[0] == 200
    edge.services.unready = Unavailable()
    try:
        status, _, body = send(edge, "GET", "/readyz", key=None, admin=True)
    finally:
        edge.services.unready = None
    assert (status, orjson.loads(body)["code"]) == (503, "unavailable")
    text = send(edge, "GET", "/metrics", key=None, admin=True)[2].decode()
    assert 'tenantry_http_requests_total{method="GET",route="/readyz",status="5xx"} 1' in text
    assert "tenantry_http_requests_in_flight 1\n" in text, "the one that asks"
    assert "tenantry_ledger_up 1\n" in text
    assert "tenantry_clock_ahead_seconds 0.000\n" in text
    assert 'tenantry_info{env="local",version="0"} 1\n' in text
    assert 'tenantry_attempts{state="open"} 0\n' in text


def test_a_load_balancer_asks_the_data_plane_without_a_key_and_is_told_the_status_alone(
    edge: Edge,
) -> None:
    for path, body in (("/healthz", b'{"status":"ok"}'), ("/readyz", b'{"status":"ready"}')):
        for key in (None, "tk_nobody"):
            status, headers, told = send(edge, "GET", path, key=key)
            assert (status, told) == (200, body)
            assert "x-tenantry-tenant" not in headers
    edge.services.unready = Unavailable("The database is at db.internal.")
    try:
        assert send(edge, "GET", "/readyz", key=None)[::2] == (503, b'{"status":"unready"}')
        assert send(edge, "GET", "/healthz", key=None)[0] == 200
    finally:
        edge.services.unready = None
    described = orjson.loads(send(edge, "GET", "/openapi.json", key=None)[2])["paths"]
    assert all("security" not in described[path]["get"] for path in ("/healthz", "/readyz"))


def test_metrics_tell_that_the_ledger_is_out_of_reach(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whether requests can be admitted, and not by a count that cannot be told."""

    async def away() -> Mapping[tuple[str, str], int]:
        raise Unavailable

    def told() -> str:
        status, _, body = send(edge, "GET", "/metrics", key=None, admin=True)
        assert status == 200
        return body.decode()

    edge.services.unready = Unavailable()
    try:
        assert told().endswith("tenantry_ledger_up 0\n")
    finally:
        edge.services.unready = None
    monkeypatch.setattr(edge.services.alerts, "counts", away)
    assert told().endswith("tenantry_ledger_up 1\n")
    assert "tenantry_alerts_total" not in told()


def test_a_key_created_twice_under_one_idempotency_key_is_one_key(edge: Edge) -> None:
    def create(idempotency_key: str, name: str) -> Reply:
        return post_json(
            edge,
            "/admin/v1/keys",
            {"tenant": "acme", "name": name},
            key=OPERATOR_TOKEN,
            admin=True,
            headers={"idempotency-key": idempotency_key},
        )

    before = len(get(edge, "/keys?tenant=acme")["data"])
    status, headers, body = create("once", "a")
    assert (status, "idempotent-replayed" in headers) == (201, False)
    status, headers, again = create("once", "a")
    assert (status, headers["idempotent-replayed"], again) == (201, "true", body)
    assert len(get(edge, "/keys?tenant=acme")["data"]) == before + 1
    assert create("once", "b")[0] == 422
    assert create("\t", "a")[0] == 400
