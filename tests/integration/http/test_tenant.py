"""What tenants see of themselves, and the description of the ports."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.support.http_edge import Edge
from tests.support.http_plain import send

from tenantry.ports.ledger import UsageRow


def test_usage_is_the_keys_own_tenants(edge: Edge) -> None:
    edge.services.directory.fresh_reads = 0
    path = "/v1/usage?from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00%2B01:00&group_by=model,day"
    status, headers, body = send(edge, "GET", path)
    usage = orjson.loads(body)
    assert (status, usage["from"], usage["to"]) == (
        200, "2026-11-01T00:00:00Z", "2026-11-01T23:00:00Z",
    )  # fmt: skip
    (row,) = usage["data"]
    assert (row["model"], row["day"], row["charge"]) == ("some-model", "some-day", "4")
    assert edge.services.directory.fresh_reads == 1
    assert "cost" not in body.decode() and "markup" not in body.decode()
    assert headers["x-tenantry-tenant"] == "tnt_acme"


def test_usage_that_fits_a_page_ends_with_it(edge: Edge) -> None:
    assert orjson.loads(send(edge, "GET", "/v1/usage?limit=1")[2])["next_cursor"] is None


def test_usage_of_many_groups_has_pages(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def usage(*given: Any, after: Any, limit: int, **named: Any) -> list[UsageRow]:
        asked.append((after, limit))
        first = 0 if after is None else int(after[1].removeprefix("run-")) + 1
        return [
            UsageRow({"model": "m", "run": f"run-{n:04}"}, 1, {}, Decimal(1), "USD")
            for n in range(first, min(1_500, first + limit))
        ]

    monkeypatch.setattr(edge.services.ledger, "usage", usage)
    path = "/v1/usage?group_by=model,run"
    first = orjson.loads(send(edge, "GET", path)[2])
    assert len(first["data"]) == 1_000, "what is smaller comes whole"
    found, cursor = first["data"], first["next_cursor"]
    while cursor:
        page = orjson.loads(send(edge, "GET", f"{path}&limit=100&cursor={cursor}")[2])
        found += page["data"]
        cursor = page["next_cursor"]
    assert [row["run"] for row in found] == [f"run-{n:04}" for n in range(1_500)]
    assert asked[0] == (None, 1_001)
    assert asked[1] == (["m", "run-0999", "USD"], 101)
    other = f"/v1/usage?group_by=run,model&cursor={first['next_cursor']}"
    assert send(edge, "GET", other)[0] == 400


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "from=2026-11-02&to=2026-11-01",
        "from=2020-01-01&to=2026-01-01",
        "group_by=secret",
        "group_by=model,model",
        "from=0001-01-01T00:00:00%2B14:00",
        "tenant=tnt_bolt",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(edge: Edge, query: str) -> None:
    status, _, body = send(edge, "GET", f"/v1/usage?{query}")
    assert (status, orjson.loads(body)["code"]) == (400, "bad_request")


def test_limits_are_exact(edge: Edge) -> None:
    status, _, body = send(edge, "GET", "/v1/limits")
    assert (status, orjson.loads(body)["data"][0]["remaining"]) == (200, "4.9685")


def test_invoices_are_drafts_by_period(edge: Edge) -> None:
    listed = orjson.loads(send(edge, "GET", "/v1/invoices")[2])["data"]
    assert [invoice["status"] for invoice in listed] == ["draft", "draft", "final"]
    number = listed[0]["number"]
    invoice = orjson.loads(send(edge, "GET", f"/v1/invoices/{number}")[2])
    assert invoice["lines"][0]["amount"] == "0.03"
    assert len(invoice["sha256"]) == 64
    final = orjson.loads(send(edge, "GET", f"/v1/invoices/{listed[2]['number']}")[2])
    assert (final["sha256"], final["status"]) == (listed[2]["sha256"], "final")
    for wrong in ("draft-2999-01-01", "draft-2026-01-02", "7", "draft-x", "draft-20260101"):
        assert send(edge, "GET", f"/v1/invoices/{wrong}")[0] == 404


@pytest.mark.parametrize("admin", [False, True])
def test_each_port_describes_itself(edge: Edge, admin: bool) -> None:
    status, _, body = send(edge, "GET", "/openapi.json", key=None, admin=admin)
    described = orjson.loads(body)
    assert (status, described["openapi"]) == (200, "3.1.0")
    assert ("/admin/v1/tenants" in described["paths"]) == admin
    assert ("/model/{model}/converse" in described["paths"]) != admin
    names = [op["operationId"] for path in described["paths"].values() for op in path.values()]
    assert len(names) == len(set(names))


def test_another_tenants_invoice_is_not_there(edge: Edge) -> None:
    number = orjson.loads(send(edge, "GET", "/v1/invoices")[2])["data"][2]["number"]
    assert send(edge, "GET", f"/v1/invoices/{number}")[0] == 200
    assert send(edge, "GET", f"/v1/invoices/{number}", key="tk_bolt")[0] == 404
    assert send(edge, "GET", f"/v1/invoices/{number}?tenant=tnt_acme", key="tk_bolt")[0] == 400
