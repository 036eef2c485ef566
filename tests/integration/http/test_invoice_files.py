"""An invoice in the form that is asked for: JSON, PDF, rows of FOCUS."""

import csv
import io

import orjson
import pytest
from tests.support.http_edge import Edge
from tests.support.http_plain import send
from tests.support.http_services import OPERATOR_TOKEN


def number_of(edge: Edge) -> str:
    number: str = orjson.loads(send(edge, "GET", "/v1/invoices")[2])["data"][0]["number"]
    return number


@pytest.mark.parametrize("admin", [False, True])
def test_a_pdf_for_the_finance_department(edge: Edge, admin: bool) -> None:
    number = number_of(edge)
    path = f"/admin/v1/invoices/{number}?tenant=acme" if admin else f"/v1/invoices/{number}"
    key = OPERATOR_TOKEN if admin else "tk_acme"
    wanted = {"accept": "application/pdf"}
    status, headers, body = send(edge, "GET", path, key=key, headers=wanted, admin=admin)
    assert (status, headers["content-type"], body[:5]) == (200, "application/pdf", b"%PDF-")
    assert headers["content-disposition"] == f'attachment; filename="{number}.pdf"'
    assert headers["vary"] == "accept"


def test_rows_of_focus(edge: Edge) -> None:
    path = f"/v1/invoices/{number_of(edge)}"
    status, headers, body = send(edge, "GET", path, headers={"accept": "text/csv"})
    assert (status, headers["content-type"]) == (200, "text/csv")
    invoice = orjson.loads(send(edge, "GET", path)[2])
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert len(rows) == len(invoice["lines"])
    assert {row["InvoiceId"] for row in rows} == {invoice["number"]}


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, application/pdf;q=0.9, */*;q=0.8", "application/pdf"),
        ("application/pdf;q=0, text/csv;q=0.1", "text/csv"),
        ("application/json, application/pdf", "application/json"),
        ("application/pdf;q=1.0, application/json;q=1", "application/pdf"),
        ("image/png", "application/json"),
        ("x" * 5_000, "application/json"),
    ],
)
def test_the_most_wanted_form_is_given(edge: Edge, accept: str, found: str) -> None:
    path = f"/v1/invoices/{number_of(edge)}"
    status, headers, _ = send(edge, "GET", path, headers={"accept": accept})
    assert (status, headers["content-type"]) == (200, found)


def test_what_is_not_there_is_not_there_in_any_form(edge: Edge) -> None:
    for accept in ("application/pdf", "text/csv"):
        status, _, body = send(edge, "GET", "/v1/invoices/7", headers={"accept": accept})
        assert (status, orjson.loads(body)["code"]) == (404, "not_found")
