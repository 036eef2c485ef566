"""The FOCUS export against the column rules of the specification, version 1.2.

`focus_1_2.csv` is those rules as a table, written down from `specification/columns/*.md` and
`specification/attributes/*.md` of FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec at tag v1.2; the rules
between columns are below it, each with the name of the column whose page has it.
"""

import csv
import io
import json
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.invoices import (
    INVOICES,
    MODEL,
    a_credit_note,
    an_invoice,
    with_late_tokens,
    with_rounded_lines,
    with_two_prices,
)

from tenantry.adapters.export.focus_files import focus_csv, focus_parquet
from tenantry.domain.errors import BadRequest
from tenantry.domain.focus import COLUMNS, DECIMALS, FocusError, Row, focus_rows

_TABLE = (Path(__file__).parent / "focus_1_2.csv").read_text("utf-8")
RULES = list(csv.DictReader(_TABLE.splitlines()))
MANDATORY = {rule["column"] for rule in RULES if rule["level"] == "Mandatory"}
_FORMATS = {
    "Decimal": r"-?\d+(\.\d+)?",  # NumericFormat: no plus, comma, exponent or unit
    "DateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",  # DateTimeFormat
    "Currency": r"[A-Z]{3}",  # CurrencyFormat: ISO 4217
    "Unit": r"(\d+ )?[A-Z][A-Za-z ]*s",  # UnitFormat: "1000 Tokens"
    "String": r"\S(.*\S)?",
    "JSON": r"\{.*\}",
}


@pytest.fixture(params=INVOICES.values(), ids=INVOICES.keys())
def invoice(request: pytest.FixtureRequest) -> dict[str, Any]:
    made: dict[str, Any] = request.param()
    return made


def exported(invoice: dict[str, Any]) -> list[Row]:
    """The rows as a reader of the file has them."""
    read = csv.DictReader(io.StringIO(focus_csv(focus_rows(invoice)).decode()))
    return [{name: cell or None for name, cell in row.items()} for row in read]


def test_the_columns_are_the_specifications(invoice: dict[str, Any]) -> None:
    rows = exported(invoice)
    assert tuple(rows[0]) == COLUMNS
    known = {rule["column"] for rule in RULES}
    assert {name for name in COLUMNS if not name.startswith("x_")} == known >= MANDATORY


def test_every_cell_keeps_its_columns_rule(invoice: dict[str, Any]) -> None:
    for row in exported(invoice):
        for rule in RULES:
            cell = row[rule["column"]]
            if cell is None:
                assert rule["nullable"] == "yes", rule["column"]
                continue
            assert re.fullmatch(_FORMATS[rule["type"]], cell), (rule["column"], cell)
            if rule["allowed"]:
                assert cell in rule["allowed"].split("|"), (rule["column"], cell)
            if rule["type"] == "JSON":
                assert all(isinstance(value, str) for value in json.loads(cell).values())


def test_every_row_keeps_the_rules_between_columns(invoice: dict[str, Any]) -> None:
    for row in exported(invoice):
        category, correction = row["ChargeCategory"], row["ChargeClass"] == "Correction"
        priced = ("ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingQuantity")
        sku = ("SkuId", "SkuPriceId")
        if category == "Tax":
            assert all(row[name] is None for name in (*priced, *sku))
        if category in ("Usage", "Purchase") and not correction:
            assert all(row[name] is not None for name in (*priced, *sku))
        if category != "Usage":
            assert row["ConsumedQuantity"] is None
        elif not correction:
            assert row["ConsumedQuantity"] is not None
        assert (row["ConsumedUnit"] is None) == (row["ConsumedQuantity"] is None)
        assert (row["PricingUnit"] is None) == (row["PricingQuantity"] is None)
        assert (row["SkuMeter"] is None) == (row["SkuId"] is None)
        assert (row["BillingAccountType"] is None) == (row["BillingAccountId"] is None)
        assert not (category == "Purchase" and row["ChargeFrequency"] == "Usage-Based")
        assert str(row["ChargePeriodStart"]) < str(row["ChargePeriodEnd"])
        for cost, price in (
            ("ContractedCost", "ContractedUnitPrice"),
            ("ListCost", "ListUnitPrice"),
        ):
            if row[price] is not None and not correction:
                assert Decimal(row[price] or "") >= 0
                quantity = Decimal(row["PricingQuantity"] or "")
                assert Decimal(row[price] or "") * quantity == Decimal(row[cost] or "")
            if row[price] is None and category != "Tax":  # of charges unrelated to others
                assert row[cost] == row["BilledCost"]


def test_billed_cost_sums_to_what_is_payable(invoice: dict[str, Any]) -> None:
    billed = sum(Decimal(row["BilledCost"] or "") for row in exported(invoice))
    assert billed == Decimal(invoice["due"])


def test_a_cost_is_the_exact_charge_where_what_is_billed_is_rounded(
    invoice: dict[str, Any],
) -> None:
    rows = exported(invoice)
    for row, line in zip(rows, invoice["lines"], strict=False):
        assert Decimal(row["ListCost"] or "") == Decimal(line["charge"]), row["x_LineKind"]
        assert Decimal(row["BilledCost"] or "") == Decimal(line["amount"])
    tax = invoice.get("tax")
    bases: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in invoice["lines"]:
        of = line.get("tax") or tax or {"rate": "0", "label": ""}
        bases[of["rate"], of["label"]] += Decimal(line["charge"])
    taxed = [row for row in rows if row["ChargeCategory"] == "Tax"]
    found = [Decimal(row["ContractedCost"] or "") for row in taxed]
    assert found == [base * Decimal(rate) for (rate, _), base in bases.items() if Decimal(rate)]


def test_usage_that_settled_late_has_the_price_of_its_model() -> None:
    fee, late, reversal, steps, minimum, _ = exported(with_rounded_lines())
    shown = ("ListUnitPrice", "PricingQuantity", "ListCost", "BilledCost")
    assert [late[name] for name in shown] == ["13.822056", "0.003001", "0.041479990056", "0.04"]
    assert [reversal[name] for name in shown[1:]] == ["-0.025321", "-0.349988279976", "-0.35"]
    assert late["SkuId"] == reversal["SkuId"] == f"{MODEL}/out"
    assert [steps[name] for name in shown] == ["1.0051", "1.0", "1.0051", "1.01"]
    assert (steps["SkuId"], minimum["SkuId"]) == (None, None)
    assert [fee[name] for name in shown] == ["69.993", "1.0", "69.993", "69.99"]


def test_late_tokens_that_steps_price_are_counted_where_they_have_one_price() -> None:
    """They are not consumed: by the specification that is of usage alone, not of corrections."""
    rows = exported(with_late_tokens())[:4]
    shown = ("PricingUnit", "PricingQuantity", "ListUnitPrice", "ListCost")
    assert [[row[name] for name in shown] for row in rows] == [
        ["1000000 Tokens", "1.5", "10.0", "15.0"],
        ["Units", "1.0", "11.66", "11.66"],
        ["1000000 Tokens", "-1.0", "10.0", "-10.0"],
        ["Units", "-1.0", "6.66", "-6.66"],
    ]
    assert {row["ConsumedQuantity"] for row in rows} == {None}


def test_lines_become_the_charges_that_they_are() -> None:
    rows = exported(an_invoice())
    shown = [(row["x_LineKind"], row["ChargeCategory"], row["ChargeClass"]) for row in rows]
    assert shown == [
        ("fee", "Purchase", None), ("usage", "Usage", None), ("usage", "Usage", None),
        ("usage", "Usage", None), ("adjustment", "Adjustment", "Correction"),
        ("minimum", "Adjustment", None), ("tax", "Tax", None), ("credit", "Credit", None),
    ]  # fmt: skip
    usage = rows[1]
    assert (usage["PricingQuantity"], usage["PricingUnit"]) == ("123.456789", "1000000 Tokens")
    assert (usage["ListUnitPrice"], usage["ConsumedQuantity"]) == ("9.0", "123456789.0")
    assert (usage["ContractedCost"], usage["BilledCost"]) == ("1111.111101", "1111.11")
    assert {row["ChargeClass"] for row in exported(a_credit_note())} == {"Correction"}
    assert exported(with_two_prices())[0]["Tags"] == '{"feature": "chat"}'


def test_a_fee_is_of_the_plan_that_asks_it_and_not_of_the_months_first() -> None:
    fee = an_invoice()["lines"][0]
    words = {
        "Plan lis": "lis",
        "Plan lis, 14 of 31 days from 2026-10-18, credited": "lis",
        "Plan lis, plus, 14 of 31 days from 2026-10-18": "lis, plus",
        "Plan gone": "lis",  # of no version that the document names
    }
    lines = [fee | {"description": text, "amount": "1.00"} for text in words]
    of_versions = [
        {"plan": name, "version": 1, "from": "2026-10-01"} for name in ("lis", "lis, plus")
    ]
    rows = exported(
        an_invoice(
            plan="lis", plan_versions=of_versions, lines=lines, tax=None, credit="0.00", due="4.00"
        )
    )  # fmt: skip
    assert [row["SkuId"] for row in rows] == [f"plan/{plan}" for plan in words.values()]


def test_a_price_id_names_one_price(invoice: dict[str, Any]) -> None:
    line = an_invoice()["lines"][1]
    dearer = line | {"unit_price": "18", "charge": "2222.222202", "amount": "2222.22"}
    rows = exported(an_invoice(lines=[line, dearer], tax=None, credit="0.00", due="3333.33"))
    assert rows[0]["SkuId"] == rows[1]["SkuId"]
    for each in (rows, exported(invoice)):
        prices = {(row["SkuPriceId"], row["ListUnitPrice"]) for row in each if row["SkuPriceId"]}
        assert len({price_id for price_id, _ in prices}) == len(prices)


HOSTILE = {
    '=HYPERLINK("http://x")': '\'=HYPERLINK("http://x")',
    "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)",
    "\t=1": " =1", "a\x1b[2Jb": "a[U+001B][2Jb", "a\u202eb": "a[U+202E]b", "a\r\nb": "a b",
    "Ångström & Co": "Ångström & Co",
}  # fmt: skip


@pytest.mark.parametrize(("name", "cell"), HOSTILE.items())
def test_no_cell_of_text_is_a_formula_or_a_control(name: str, cell: str) -> None:
    named = an_invoice()
    named["customer"]["name"] = name
    [one, *_] = exported(named)
    assert one["BillingAccountName"] == cell
    credited = exported(a_credit_note())
    assert credited[0]["BilledCost"] == "-100.0"  # a figure stays one
    assert json.loads(exported(with_two_prices())[0]["Tags"] or "") == {"feature": "chat"}


@pytest.mark.parametrize(
    ("token_class", "unit"),
    [
        ("out", "Tokens"),
        ("embedding", "Tokens"),
        ("image", "Images"),
        ("rerank_units", "Queries"),
        ("cache_hit", "Answers"),
        ("guardrail_topic", "Text Units"),
        ("guardrail_pii", "Text Units"),
        ("guardrail_image", "Images"),
    ],
)
def test_usage_is_counted_in_the_unit_of_its_class(token_class: str, unit: str) -> None:
    line = an_invoice()["lines"][1] | {"token_class": token_class}
    due = {"tax": None, "credit": "0.00", "due": line["amount"]}
    [row] = exported(an_invoice(lines=[line], **due))
    assert (row["ConsumedUnit"], row["PricingUnit"]) == (unit, f"1000000 {unit}")


def test_what_bills_nothing_or_does_not_add_up_is_refused() -> None:
    with pytest.raises(FocusError, match="void"):
        focus_rows(an_invoice(status="void"))
    with pytest.raises(FocusError, match="is due"):
        focus_rows(an_invoice(due="2394.41"))


def test_parquet_holds_the_same_rows(invoice: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "focus.parquet"
    file.write_bytes(focus_parquet(focus_rows(invoice)))
    table = pq.read_table(file)
    assert table.schema.metadata[b"FocusVersion"] == b"1.2"
    billed = sum(Decimal(value) for value in table["BilledCost"].to_pylist())
    assert (table.num_rows, billed) == (len(focus_rows(invoice)), Decimal(invoice["due"]))
    assert table["ChargeClass"].to_pylist() == [r["ChargeClass"] for r in focus_rows(invoice)]


def in_parquet(rows: list[Row]) -> Any:
    return pq.read_table(io.BytesIO(focus_parquet(rows)))


def test_parquet_has_every_digit_of_a_price_in_another_currency() -> None:
    """A price of 0.00875 USD at markup 1.35 in euros: its charge has more than 18 decimals."""
    price = Decimal("0.00875") * Decimal("1.35") * Decimal("0.921345")
    charge = price * 1_234_567 / 1_000_000
    exact = {"quantity": "1234567", "unit_price": f"{price:f}", "charge": f"{charge:f}"}
    line = an_invoice()["lines"][1] | exact | {"amount": "0.01"}
    rows = focus_rows(an_invoice(lines=[line], tax=None, credit="0.00", due="0.01"))
    table = in_parquet(rows)
    for name in DECIMALS:
        assert table[name].to_pylist() == [row[name] and Decimal(row[name] or "") for row in rows]
    assert table.schema.field("ListCost").type == pa.decimal128(38, 19)
    assert table.schema.field("BilledCost").type == pa.decimal128(38, 18)


@pytest.mark.parametrize(
    ("whole", "decimals", "scale"),
    [
        (1, 1, 18),
        (1, 18, 18),
        (20, 18, 18),
        (21, 2, 17),  # of whole digits so many that fewer may follow
        (1, 37, 37),
        (10, 28, 28),
        (38, 0, 0),
    ],
)
def test_a_columns_scale_goes_by_its_figures(whole: int, decimals: int, scale: int) -> None:
    """Two figures of one column: one has its whole digits, the other its decimals."""
    rows = focus_rows(an_invoice())[:2]
    rows[0]["ListCost"] = "-" + "9" * whole
    rows[1]["ListCost"] = "0." + "9" * decimals if decimals else "0.000"
    table = in_parquet(rows)
    assert table.schema.field("ListCost").type == pa.decimal128(38, scale)
    assert table["ListCost"].to_pylist() == [Decimal(str(row["ListCost"])) for row in rows]


@pytest.mark.parametrize(("whole", "decimals"), [(1, 38), (11, 28), (39, 0)])
def test_parquet_refuses_a_figure_that_it_would_cut(whole: int, decimals: int) -> None:
    rows = focus_rows(an_invoice())
    rows[0]["ListCost"] = "9" * whole
    rows[1]["ListCost"] = "0." + "9" * decimals if decimals else "0"
    with pytest.raises(BadRequest, match=r"ListCost .* 38 digits.* CSV"):
        focus_parquet(rows)
