"""Which lines of a sheet say how many there are."""

from __future__ import annotations

from tests.support.invoices import an_invoice, with_late_tokens

from tenantry.domain.invoice_sheet import sheet_of


def test_late_tokens_that_steps_price_are_counted_and_what_a_minimum_covers_is_not() -> None:
    [group] = sheet_of(with_late_tokens())["groups"]
    assert [(row["quantity"], row["unit_price"], row["amount"]) for row in group["rows"]] == [
        ("1,500,000", "10.00", "15.00"),
        ("2,100,000", "", "11.66"),
        ("−1,000,000", "10.00", "−10.00"),
        ("", "", "−6.66"),
    ]


def test_a_fee_and_a_correction_of_before_have_no_quantity() -> None:
    rows = [row for group in sheet_of(an_invoice())["groups"] for row in group["rows"]]
    assert [row["quantity"] for row in rows if not row["unit_price"]] == ["", ""]
