"""A credit note: what is given back of a final invoice, with its share of the tax."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tenantry.domain import money
from tenantry.domain.billing import LineKind
from tenantry.domain.invoice import Document, instant, text
from tenantry.domain.party import Issuer, issuer_to_json
from tenantry.domain.proration import to_currency


def credit_note(
    invoice: Mapping[str, Any],
    issuer: Issuer,
    number: str,
    issued_at: datetime,
    credited_net: Decimal,
    credited_tax: Decimal,
    net: Decimal | None,
    reason: str,
) -> tuple[Document, Decimal, Decimal]:
    """The document, and what it gives back before tax and of tax, as positive amounts.

    `invoice` is the final invoice's document; `credited_…` what earlier notes have given back;
    `net` None: all that is left, to the cent. Raises `ValueError` where that is less.
    """
    currency = invoice["currency"]
    of_net = money.total((Decimal(invoice["subtotal"]), Decimal(invoice["true_up"])))
    of_tax = Decimal(invoice["tax"]["amount"])
    left_net, left_tax = money.total((of_net, -credited_net)), money.total((of_tax, -credited_tax))
    if net is None:
        net = left_net
        if net <= 0:
            raise ValueError("nothing is left to credit")
    if not net.is_finite() or net <= 0 or money.to_currency(net, currency) != net:
        raise ValueError(f"a credit note is an amount over 0 in {currency}")
    if net > left_net:
        raise ValueError(f"only {text(left_net)} {currency} before tax is left to credit")
    net = money.to_currency(net, currency)
    tax = left_tax
    if net != left_net:
        tax = to_currency(Fraction(net) * Fraction(Decimal(invoice["tax"]["rate"])), currency)
        tax = min(tax, max(left_tax, money.ZERO))
    total = money.total((net, tax))
    zero = text(money.to_currency(money.ZERO, currency))
    line = {
        "kind": str(LineKind.CREDIT),
        "description": f"{reason} (invoice {invoice['number']})",
        "model": None,
        "token_class": None,
        "quantity": 1,
        "unit_price": None,
        "charge": money.plain(-net),
        "amount": text(-net),
    }
    document = {
        **invoice,
        "number": number,
        "kind": "credit_note",
        "status": "final",
        "issued_at": instant(issued_at),
        "due_at": instant(issued_at),
        "issuer": issuer_to_json(issuer),
        "lines": [line],
        "subtotal": text(-net),
        "true_up": zero,
        "tax": {**invoice["tax"], "amount": text(money.to_currency(-tax, currency))},
        "total": text(-total),
        "credit": zero,
        "due": text(-total),
        "references": {"invoice": invoice["number"], "reason": reason},
    }
    return document, net, tax
