"""A credit note gives back no more than there is, with its share of the tax, to the cent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.credit_note import credit_note
from tenantry.domain.party import Issuer, Party

INVOICE = json.loads(
    (Path(__file__).parents[2] / "support" / "invoice_example.json").read_text("utf-8")
)
ISSUER = Issuer(Party("Lumen", ("500 Howard St",)))
AT = datetime(2026, 12, 5, tzinfo=UTC)
NET, TAX = Decimal("336.12"), Decimal("29.83")
NONE = Decimal(0)


def note(net: str | None, credited: Decimal = NONE, tax: Decimal = NONE) -> tuple:  # type: ignore[type-arg]
    amount = None if net is None else Decimal(net)
    return credit_note(INVOICE, ISSUER, "CN-2026-000001", AT, credited, tax, amount, "outage")


def test_a_part_has_its_share_of_the_tax() -> None:
    shown, net, tax = note("10")
    assert (net, tax) == (Decimal("10.00"), Decimal("0.89"))  # 8.875 %
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
    assert note(None)[1:] == (NET, TAX)
    assert note("336.12")[1:] == (NET, TAX)
    assert note(None, Decimal("300.00"), Decimal("29.00"))[1:] == (
        Decimal("36.12"),
        Decimal("0.83"),
    )
    # Tax that earlier notes have rounded away is not given back twice.
    assert note("30", Decimal("300.00"), Decimal("29.83"))[2] == 0


@pytest.mark.parametrize(
    ("net", "credited"),
    [("0", "0"), ("-1", "0"), ("0.001", "0"), ("NaN", "0"), ("Infinity", "0"), ("336.13", "0"),
     ("0.01", "336.12"), (None, "336.12")],
)  # fmt: skip
def test_more_than_is_left_and_no_amount_are_refused(net: str | None, credited: str) -> None:
    with pytest.raises(ValueError, match="credit"):
        note(net, Decimal(credited), TAX if credited != "0" else NONE)


@given(st.lists(st.decimals("0.01", "200", places=2), min_size=1, max_size=6))
def test_notes_never_come_to_more_than_the_invoice(parts: list[Decimal]) -> None:
    net, tax = NONE, NONE
    for part in parts:
        if part > NET - net:
            break
        _, more, its_tax = note(str(part), net, tax)
        net, tax = net + more, tax + its_tax
    if net < NET:
        _, more, its_tax = note(None, net, tax)
        net, tax = net + more, tax + its_tax
    assert (net, tax) == (NET, TAX)
