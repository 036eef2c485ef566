"""`/admin/v1/economics`: margins for operators, and for nobody else."""

import orjson
import pytest
from tests.support.http_edge import Edge
from tests.support.http_plain import send
from tests.support.http_services import OPERATOR_TOKEN

PATH = "/admin/v1/economics"


def test_margins_for_an_operator(edge: Edge) -> None:
    path = f"{PATH}?by=tenant&from=2026-11-01&to=2026-12-01"
    status, _, body = send(edge, "GET", path, key=OPERATOR_TOKEN, admin=True)
    report = orjson.loads(body)
    assert (status, report["by"], report["from"]) == (200, "tenant", "2026-11-01T00:00:00Z")
    first, second = report["data"]
    assert (first["name"], first["revenue"], first["provider_cost"]) == ("acme", "0.0315", "0.0105")
    assert (first["contribution"], first["margin_percent"]) == ("0.021", "66.7")
    assert (second["waste"], second["margin_percent"]) == ("0.001", None)
    assert report["total"]["contribution"] == "0.02"


@pytest.mark.parametrize("query", ["by=planet", "tag=", "from=soon", "cost=1"])
def test_a_query_that_makes_no_sense_is_refused(edge: Edge, query: str) -> None:
    status, _, body = send(edge, "GET", f"{PATH}?{query}", key=OPERATOR_TOKEN, admin=True)
    assert (status, orjson.loads(body)["code"]) == (400, "bad_request")


def test_no_tenant_reads_it(edge: Edge) -> None:
    assert send(edge, "GET", PATH, admin=True)[0] == 401
    assert send(edge, "GET", PATH)[0] == 404
