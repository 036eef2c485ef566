"""The day that `--in` names is a day of the tenant, not of UTC."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from tests.support.invoices import a_credit_note, an_invoice, with_two_taxes

from tenantry.application.invoice_lists import noon
from tenantry.domain.invoice import canonical
from tenantry.domain.period import billing_period
from tenantry.entrypoints.cli.invoice_export import exported
from tenantry.entrypoints.cli.invoices import print_invoice


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Pacific/Kiritimati", "Asia/Kolkata"])
@pytest.mark.parametrize("anchor_day", [1, 15, 31])
def test_a_day_is_in_the_period_that_holds_it_for_the_tenant(zone: str, anchor_day: int) -> None:
    first, last = date(2026, 12, anchor_day), date(2026, 11, 30)
    start = noon(first, zone)
    period = billing_period(start, zone, anchor_day)
    assert start - period.start < (period.end - period.start) / 20  # its first day
    if anchor_day == 1:
        assert billing_period(noon(last, zone), zone, anchor_day).end == period.start


def test_an_export_is_the_exact_bytes_or_rows_that_sum_to_what_is_due() -> None:
    example = Path(__file__).parents[2] / "support" / "invoice_example.json"
    body = json.loads(example.read_text("utf-8"))
    assert exported("json", body, b"the bytes that were hashed") == b"the bytes that were hashed"
    assert exported("json", body, None) == canonical(body)
    rows = list(csv.DictReader(io.StringIO(exported("csv", body, None).decode())))
    assert len(rows) == len(body["lines"]) + 2
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(body["due"])
    assert {row["currency"] for row in rows} == {"USD"}
    assert [row["kind"] for row in rows[-2:]] == ["tax", "prepaid"]
    without = exported("csv", {**body, "credit": "0.00"}, None).decode()
    assert ",-0.00" not in without


def test_each_of_several_taxes_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    body = with_two_taxes()
    rows = list(csv.DictReader(io.StringIO(exported("csv", body, None).decode())))
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(body["due"])
    assert [
        (row["kind"], row["description"], row["charge"], row["amount"]) for row in rows[-3:]
    ] == [
        ("tax", "MWST 8.1 %", "5.35", "5.35"),
        ("tax", "MWST 7.7 %", "-15.59", "-15.59"),
        ("prepaid", "Prepaid credit", "146.74", "146.74"),
    ]
    print_invoice(body)
    shown = capsys.readouterr().out
    assert "MWST 8.1 %" in shown and "-15.59" in shown and "-10.24" not in shown


@pytest.mark.parametrize("credit", ["4.00", "0.00", "-4.00", "-0.00", "-1500", "0"])
def test_prepaid_credit_that_is_used_or_given_back_is_a_number_of_the_other_sign(
    credit: str,
) -> None:
    body = a_credit_note()
    due = Decimal(body["total"]) - Decimal(credit)
    body |= {"credit": credit, "due": f"{due:f}"}
    rows = list(csv.DictReader(io.StringIO(exported("csv", body, None).decode())))
    assert Decimal(rows[-1]["amount"]) == Decimal(rows[-1]["charge"]) == -Decimal(credit)
    assert not (rows[-1]["amount"].startswith("-") and Decimal(credit) == 0)
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(body["due"])


def test_no_cell_of_text_is_a_formula_or_a_control_and_figures_stay() -> None:
    body = a_credit_note()
    body["lines"][0]["description"] = '=HYPERLINK("http://x")\x1b[2J\u202e\n'
    body["tax"]["label"] = "@SUM(A1)"
    rows = list(csv.DictReader(io.StringIO(exported("csv", body, None).decode())))
    said = """'=HYPERLINK("http://x")[U+001B][2J[U+202E] """
    assert [row["description"] for row in rows[:2]] == [said, "'@SUM(A1) 8.1 %"]
    assert (rows[0]["amount"], rows[0]["charge"]) == ("-100.00", "-100.00")


def test_what_is_shown_adds_up_to_its_subtotal_and_names_the_minimum_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = an_invoice()
    print_invoice(body)
    said = capsys.readouterr().out
    assert said.count("97.82") == 1
    above, _, below = said.partition("Subtotal")
    assert "97.82" not in above and "Up to the minimum of plan pro" in below
