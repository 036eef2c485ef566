"""A customer's invoice as PDF and FOCUS, and the operator's margin, from real processes."""

import csv
import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pypdfium2
import pytest
from tests.support.stack import MODEL, Stack
from tests.support.stack_clients import converse_body


def test_an_invoice_taken_away_and_its_margin(stack: Stack) -> None:
    anna, bert = stack.tenants()
    for _ in range(2):
        stack.boto3(anna).converse(modelId=MODEL, **converse_body())
    stack.wait_settled(anna, bert)
    listed = json.loads(stack.http("GET", "/v1/invoices", tenant=anna)[2])["data"]
    path = f"/v1/invoices/{listed[0]['number']}"
    invoice = json.loads(stack.http("GET", path, tenant=anna)[2])

    pdf = stack.http("GET", path, tenant=anna, headers={"accept": "application/pdf"})
    assert pdf[0] == 200
    document = pypdfium2.PdfDocument(pdf[2])
    text = document[0].get_textpage().get_text_range()
    document.close()
    assert all(words in text for words in (anna.id, MODEL, "Output tokens", "DRAFT"))
    assert bert.id not in text

    rows = stack.http("GET", path, tenant=anna, headers={"accept": "text/csv"})[2].decode()
    billed = [Decimal(row["BilledCost"]) for row in csv.DictReader(io.StringIO(rows))]
    assert sum(billed) == Decimal(invoice["due"])

    other = stack.http("GET", path, tenant=bert, headers={"accept": "text/csv"})[2].decode()
    assert anna.id not in other

    report = json.loads(stack.http("GET", "/admin/v1/economics", admin=True)[2])
    [margin] = [row for row in report["data"] if row["name"] == anna.name]
    [books] = stack.rows(
        "SELECT (SELECT sum(amount) FROM tenantry.cost_entry WHERE tenant_id = $1) AS cost,"
        " (SELECT sum(amount) FROM tenantry.charge_entry WHERE tenant_id = $1) AS charge",
        anna.id,
    )
    assert Decimal(margin["provider_cost"]) == books["cost"] > 0
    assert Decimal(margin["revenue"]) == books["charge"] == 3 * books["cost"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--format", "pdf", "-o", "one.pdf"), b"%PDF-"),
        (
            ("--format", "focus-csv", "-o", "one.csv"),
            b"BilledCost",
        ),
    ],
)
def test_the_command_line_writes_files(
    stack: Stack, tmp_path: Path, words: tuple[str, ...], found: bytes
) -> None:
    tenant = stack.tenant()
    listed = json.loads(stack.http("GET", "/v1/invoices", tenant=tenant)[2])["data"]
    number = listed[0]["number"]
    done = run_cli(stack, tmp_path, "invoices", "export", number, "--tenant", tenant.name, *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / words[-1]).read_bytes().startswith(found)


def test_the_command_line_tells_margin_and_advice(stack: Stack, tmp_path: Path) -> None:
    costs = tmp_path / "costs.toml"
    costs.write_text('[[shared]]\nname = "db"\nusd = "1"\nallocate_by = "equal"\n', "utf-8")
    words = ("economics", "--actual", "--by", "model", "--costs", str(costs), "--json")
    done = run_cli(stack, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["by"], report["total"]["shared"]) == ("model", "1")
    assert report["shared_costs"] == [{"name": "db", "usd": "1", "allocated_by": "equal"}]
    advised = run_cli(stack, tmp_path, "advise", "--json")
    assert "last_closed_month" in json.loads(advised.stdout)


def run_cli(stack: Stack, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`tenantry …` on the stack's home, started in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "tenantry.entrypoints.cli.main", *words],
        env={**os.environ, "TENANTRY_HOME": str(stack.home)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
