"""A credit note: what is given back of a final invoice, with its share of the tax.

The customer stands then as if the invoice had been smaller from the start: first less is due, and
what is beyond that goes back to the prepaid credit that had paid it.

Of an invoice of several taxes each gives back its part, as what is left of the lines of its rate is
to what is left of all: a line of its own, in whole minor units, cut down. Units that are then
missing go to the parts that were cut most, the first of equals first. So what is below zero on the
invoice, as of a price that was corrected, is above it on the note. The last note takes what is left
of each to the cent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tenantry.domain import money
from tenantry.domain.billing import LineKind
from tenantry.domain.invoice import Document, instant, tax_rate_json, text
from tenantry.domain.invoice_parties import tax_words
from tenantry.domain.party import Issuer, issuer_to_json
from tenantry.domain.proration import to_currency
from tenantry.domain.tax import Taxed, TaxRate


@dataclass(frozen=True, slots=True)
class Credited:
    """What credit notes give back of an invoice, as positive amounts."""

    net: Decimal
    tax: Decimal
    prepaid: Decimal  # of both, to the prepaid credit
    parts: tuple[Taxed, ...] = ()  # where the invoice has several taxes; of one below zero, so too

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
    document = {
        **invoice,
        "number": number,
        "kind": "credit_note",
        "status": "final",
        "issued_at": instant(issued_at),
        "due_at": instant(issued_at),
        "issue_zone": invoice["zone"],
        "issuer": issuer_to_json(issuer),
        "lines": list(_lines(invoice, given, reason)),
        "subtotal": text(money.minus(given.net)),
        "true_up": zero,
        "tax": {
            **invoice["tax"],
            "amount": _minus(given.tax, currency),
            **({"parts": _parts_json(given, currency)} if given.parts else {}),
        },
        "total": text(money.minus(given.total)),
        "credit": _minus(given.prepaid, currency),
        "due": _minus(given.due, currency),
        "references": {"invoice": invoice["number"], "reason": reason},
    }
    return document, given


def _minus(amount: Decimal, currency: str) -> str:
    return text(money.to_currency(money.minus(amount), currency))


def _parts_json(given: Credited, currency: str) -> list[dict[str, str]]:
    return [
        {
            **tax_rate_json(each.by),
            "net": _minus(each.net, currency),
            "amount": _minus(each.amount, currency),
        }
        for each in given.parts
    ]


def _lines(invoice: Mapping[str, Any], given: Credited, reason: str) -> Iterator[dict[str, Any]]:
    words = f"{reason} (invoice {invoice['number']})"
    if not given.parts:
        yield _line(words, given.net)
    for place, each in enumerate(given.parts):
        by = tax_rate_json(each.by)
        if each.net:
            line = _line(f"{words}, {tax_words(by)}", each.net)
            yield {**line, "tax": by} if place else line


def _line(words: str, net: Decimal) -> dict[str, Any]:
    return {
        "kind": str(LineKind.CREDIT),
        "description": words,
        "model": None,
        "token_class": None,
        "quantity": 1,
        "unit_price": None,
        "charge": money.plain(money.minus(net)),
        "amount": text(money.minus(net)),
    }


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
    parts = _parts(_left(invoice, credited), net, left_net, currency)
    tax = left_tax
    if parts:
        tax = money.total(each.amount for each in parts)
        _check_part(money.total((net, tax)), money.total((left_net, left_tax)), net == left_net)
    elif net != left_net:
        tax = to_currency(Fraction(net) * Fraction(Decimal(invoice["tax"]["rate"])), currency)
        tax = min(tax, max(left_tax, money.ZERO))
    total = money.total((net, tax))
    left_due = max(money.less(Decimal(invoice["due"]), credited.due), money.ZERO)
    left_prepaid = money.less(Decimal(invoice["credit"]), credited.prepaid)
    beyond = max(money.less(total, left_due), money.ZERO)
    return Credited(net, tax, money.to_currency(min(beyond, left_prepaid), currency), parts)


def _left(invoice: Mapping[str, Any], credited: Credited) -> Sequence[Taxed]:
    """What earlier notes leave of each tax; none of an invoice of one."""
    given = {each.by: each for each in credited.parts}
    found = []
    for part in invoice["tax"].get("parts") or ():
        by = TaxRate(Decimal(part["rate"]), part["label"])
        left = Taxed(by, Decimal(part["net"]), Decimal(part["amount"]))
        if (gone := given.get(by)) is not None:
            left = Taxed(by, money.less(left.net, gone.net), money.less(left.amount, gone.amount))
        found.append(left)
    return found


def _parts(
    left: Sequence[Taxed], net: Decimal, left_net: Decimal, currency: str
) -> tuple[Taxed, ...]:
    if net == left_net:
        return tuple(left)
    unit = money.to_currency(money.ZERO, currency).as_tuple().exponent
    assert isinstance(unit, int), "a finite number has an exponent"
    share = Fraction(net) / Fraction(left_net) * 10**-unit
    exact = [Fraction(each.net) * share for each in left]
    units = [each.__floor__() for each in exact]
    missing = int(money.shifted(net, -unit)) - sum(units)
    for place in sorted(range(len(left)), key=lambda at: units[at] - exact[at])[:missing]:
        units[place] += 1
    nets = [money.to_currency(money.shifted(Decimal(each), unit), currency) for each in units]
    return tuple(_part(each, of, currency) for each, of in zip(left, nets, strict=True))


def _part(left: Taxed, net: Decimal, currency: str) -> Taxed:
    """With its tax, which is no more than is left and of the same sign."""
    if net == left.net:
        return left
    tax = to_currency(Fraction(net) * Fraction(left.by.rate), currency)
    if left.net < 0:
        tax = max(tax, min(left.amount, money.to_currency(money.ZERO, currency)))
    else:
        tax = min(tax, max(left.amount, money.to_currency(money.ZERO, currency)))
    return replace(left, net=net, amount=tax)


def _check_part(total: Decimal, left: Decimal, is_all: bool) -> None:
    """With its taxes a note gives something back, and no more than is left. Of a few cents of lines
    of both signs rounding can come to more. Raises `ValueError`."""
    if left <= 0:
        raise ValueError("with its taxes nothing is left to credit")
    if not is_all and not 0 < total < left:
        raise ValueError(
            f"with its taxes it would come to {text(total)}, and {text(left)} is left to credit:"
            " choose another amount, or credit all that is left"
        )
