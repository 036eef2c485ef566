"""A credit note gives back no more than there is, with its share of the tax, to the cent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.credit_note import Credited, credit_note
from tenantry.domain.invoice import Document
from tenantry.domain.party import Issuer, Party

INVOICE = json.loads(
    (Path(__file__).parents[2] / "support" / "invoice_example.json").read_text("utf-8")
)
ISSUER = Issuer(Party("Lumen", ("500 Howard St",)))
AT = datetime(2026, 12, 5, tzinfo=UTC)
NET, TAX = Decimal("336.12"), Decimal("29.83")
PREPAID = Decimal("100.00")  # of the total of 365.95
NONE = Decimal(0)


def note(
    net: str | None, credited: Decimal = NONE, tax: Decimal = NONE, prepaid: Decimal = NONE
) -> tuple[Document, Credited]:
    amount = None if net is None else Decimal(net)
    before = Credited(credited, tax, prepaid)
    return credit_note(INVOICE, ISSUER, "CN-2026-000001", AT, before, amount, "outage")


def sums(given: Credited) -> tuple[Decimal, Decimal]:
    return given.net, given.tax


def test_a_part_has_its_share_of_the_tax() -> None:
    shown, given = note("10")
    assert sums(given) == (Decimal("10.00"), Decimal("0.89"))  # 8.875 %
    assert (shown["kind"], shown["status"], shown["number"]) == (
        "credit_note",
        "final",
        "CN-2026-000001",
    )
    assert (shown["subtotal"], shown["tax"]["amount"], shown["total"]) == (
        "-10.00", "-0.89", "-10.89",
    )  # fmt: skip
    assert shown["due"] == shown["total"]
    assert (shown["credit"], shown["true_up"]) == ("0.00", "0.00")
    [line] = shown["lines"]
    assert (line["kind"], line["amount"], line["charge"]) == ("credit", "-10.00", "-10")
    assert line["description"] == "outage (invoice INV-2026-000041)"
    assert shown["references"] == {"invoice": "INV-2026-000041", "reason": "outage"}
    assert shown["issued_at"] == shown["due_at"] == "2026-12-05T00:00:00Z"
    assert shown["customer"] == INVOICE["customer"]
    assert shown["issuer"]["name"] == "Lumen"


def test_the_rest_is_what_is_left_of_both() -> None:
    assert sums(note(None)[1]) == (NET, TAX)
    assert sums(note("336.12")[1]) == (NET, TAX)
    left = note(None, Decimal("300.00"), Decimal("29.00"))[1]
    assert sums(left) == (Decimal("36.12"), Decimal("0.83"))
    # Tax that earlier notes have rounded away is not given back twice.
    assert note("30", Decimal("300.00"), Decimal("29.83"))[1].tax == 0


@pytest.mark.parametrize(
    ("net", "credited"),
    [("0", "0"), ("-1", "0"), ("0.001", "0"), ("NaN", "0"), ("Infinity", "0"), ("336.13", "0"),
     ("0.01", "336.12"), (None, "336.12")],
)  # fmt: skip
def test_more_than_is_left_and_no_amount_are_refused(net: str | None, credited: str) -> None:
    with pytest.raises(ValueError, match="credit"):
        note(net, Decimal(credited), TAX if credited != "0" else NONE)


def test_less_is_due_first_and_the_rest_goes_back_to_the_prepaid_credit() -> None:
    """As if the invoice had been smaller from the start."""
    _, part = note("244.27")  # with its tax what was due
    assert (part.total, part.prepaid) == (Decimal("265.95"), 0)
    shown, rest = note(None, part.net, part.tax)
    assert (rest.total, rest.prepaid, rest.due) == (PREPAID, PREPAID, 0)
    assert (shown["total"], shown["credit"], shown["due"]) == ("-100.00", "-100.00", "0.00")
    shown, whole = note(None)
    assert (whole.prepaid, whole.due) == (PREPAID, Decimal("265.95"))
    assert (shown["total"], shown["credit"], shown["due"]) == ("-365.95", "-100.00", "-265.95")


@given(st.lists(st.decimals("0.01", "200", places=2), min_size=1, max_size=6))
def test_notes_come_to_the_invoice_in_each_of_its_sums(parts: list[Decimal]) -> None:
    net, tax, prepaid, due = NONE, NONE, NONE, NONE
    asked = [str(part) for part in parts]
    for amount in (*asked, None):
        if net == NET or (amount is not None and Decimal(amount) > NET - net):
            continue
        shown, more = note(amount, net, tax, prepaid)
        net, tax, prepaid = net + more.net, tax + more.tax, prepaid + more.prepaid
        due -= Decimal(shown["due"])
        assert Decimal(shown["total"]) - Decimal(shown["credit"]) == Decimal(shown["due"]) <= 0
        assert prepaid == 0 or due == NET + TAX - PREPAID
    assert (net, tax, prepaid, due) == (NET, TAX, PREPAID, NET + TAX - PREPAID)


@pytest.mark.parametrize("net", ["1e999999", "1e200", "9" * 200, "NaN", "Infinity", "1e-999999"])
def test_an_amount_that_nothing_can_be_is_refused_and_not_counted_with(net: str) -> None:
    with pytest.raises(ValueError, match=r"before tax is left|an amount over 0"):
        note(net)
