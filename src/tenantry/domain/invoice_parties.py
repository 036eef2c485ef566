"""Who an invoice is from and to, and how its tax is called, as its canonical JSON says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tenantry.domain import money
from tenantry.domain.agreement import percent_in

NO_ISSUER = "Issuer not named"  # shown where a deployment has not said who sells


def issuer_of(invoice: Mapping[str, Any]) -> Mapping[str, Any]:
    """With a name always."""
    issuer = invoice.get("issuer") or {}
    return {**issuer, "name": issuer.get("name") or NO_ISSUER}


def customer_of(invoice: Mapping[str, Any]) -> Mapping[str, Any]:
    """With `tenant_id` and `name` always."""
    customer = invoice["customer"]
    return {**customer, "name": customer.get("name") or customer["tenant_id"]}


def taxes_of(invoice: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A tax with its `amount` for each rate; none of a document that has no tax. Where there are
    several, each has the `net` that it is of."""
    tax = invoice.get("tax")
    return () if tax is None else tax.get("parts") or (tax,)


def is_taxed_by(
    invoice: Mapping[str, Any], line: Mapping[str, Any], tax: Mapping[str, Any]
) -> bool:
    """Whether a line is one of those that a tax of `taxes_of` is of: a line of a tax that comes to
    nothing may be of none."""
    of = line.get("tax") or invoice["tax"]
    return Decimal(of["rate"]) == Decimal(tax["rate"]) and of.get("label") == tax.get("label")


def tax_words(tax: Mapping[str, Any]) -> str:
    """`MWST 8.1 %`: label and rate, which some labels hold already. Beside a label of another rate,
    as it could be entered once, stands what was charged."""
    label = str(tax.get("label") or "Tax")
    rate = Decimal(tax["rate"])
    percent, named = money.plain(money.shifted(rate, 2)), percent_in(label)
    if named is None:
        return f"{label} {percent} %"
    return label if named == money.shifted(rate, 2) else f"{label}, charged at {percent} %"
