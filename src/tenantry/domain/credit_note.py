"""A credit note: what is given back of a final invoice, with its share of the tax.

The customer stands then as if the invoice had been smaller from the start: first less is due, and
what is beyond that goes back to the prepaid credit that had paid it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tenantry.domain import money
from tenantry.domain.billing import LineKind
from tenantry.domain.invoice import Document, instant, text
from tenantry.domain.party import Issuer, issuer_to_json
from tenantry.domain.proration import to_currency


@dataclass(frozen=True, slots=True)
class Credited:
    """What credit notes give back of an invoice, as positive amounts."""

    net: Decimal
    tax: Decimal
    prepaid: Decimal  # of both, to the prepaid credit

    @property
    def total(self) -> Decimal:
        return money.total((self.net, self.tax))

    @property
    def due(self) -> Decimal:
        return money.less(self.total, self.prepaid)


def credit_note(
    invoice: Mapping[str, Any],
    issuer: Issuer,
    number: str,
    issued_at: datetime,
    credited: Credited,
    net: Decimal | None,
    reason: str,
) -> tuple[Document, Credited]:
    """The document, and what it gives back.

    `invoice` is the final invoice's document; `credited` what earlier notes have given back;
    `net` None: all that is left, to the cent. Raises `ValueError` where that is less.
    """
    given = _given(invoice, credited, net)
    currency = invoice["currency"]
    zero = text(money.to_currency(money.ZERO, currency))
    line = {
        "kind": str(LineKind.CREDIT),
        "description": f"{reason} (invoice {invoice['number']})",
        "model": None,
        "token_class": None,
        "quantity": 1,
        "unit_price": None,
        "charge": money.plain(money.minus(given.net)),
        "amount": text(money.minus(given.net)),
    }
    document = {
        **invoice,
        "number": number,
        "kind": "credit_note",
        "status": "final",
        "issued_at": instant(issued_at),
        "due_at": instant(issued_at),
        "issue_zone": invoice["zone"],
        "issuer": issuer_to_json(issuer),
        "lines": [line],
        "subtotal": text(money.minus(given.net)),
        "true_up": zero,
        "tax": {
            **invoice["tax"],
            "amount": text(money.to_currency(money.minus(given.tax), currency)),
        },
        "total": text(money.minus(given.total)),
        "credit": text(money.to_currency(money.minus(given.prepaid), currency)),
        "due": text(money.to_currency(money.minus(given.due), currency)),
        "references": {"invoice": invoice["number"], "reason": reason},
    }
    return document, given


def _given(invoice: Mapping[str, Any], credited: Credited, net: Decimal | None) -> Credited:
    currency = invoice["currency"]
    of_net = money.total((Decimal(invoice["subtotal"]), Decimal(invoice["true_up"])))
    of_tax = Decimal(invoice["tax"]["amount"])
    left_net, left_tax = money.less(of_net, credited.net), money.less(of_tax, credited.tax)
    if net is None:
        net = left_net
        if net <= 0:
            raise ValueError("nothing is left to credit")
    if not net.is_finite() or net <= 0:
        raise ValueError(f"a credit note is an amount over 0 in {currency}")
    if net > left_net:  # before it is rounded, which no amount without a bound can be
        raise ValueError(f"only {text(left_net)} {currency} before tax is left to credit")
    if money.to_currency(net, currency) != net:
        raise ValueError(f"a credit note is an amount over 0 in {currency}")
    net = money.to_currency(net, currency)
    tax = left_tax
    if net != left_net:
        tax = to_currency(Fraction(net) * Fraction(Decimal(invoice["tax"]["rate"])), currency)
        tax = min(tax, max(left_tax, money.ZERO))
    total = money.total((net, tax))
    left_due = max(money.less(Decimal(invoice["due"]), credited.due), money.ZERO)
    left_prepaid = money.less(Decimal(invoice["credit"]), credited.prepaid)
    beyond = max(money.less(total, left_due), money.ZERO)
    return Credited(net, tax, money.to_currency(min(beyond, left_prepaid), currency))
