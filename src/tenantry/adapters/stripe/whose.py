"""Which invoice at Stripe is ours: a number alone repeats, over deployments that share an account,
over a new database and over one that was restored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from tenantry.adapters.stripe.account import metadata
from tenantry.adapters.stripe.items import BadInvoice, StripeInvoice, collected
from tenantry.ports.delivery import Delivery

TENANT: Final = "tenantry_tenant"  # names of our metadata, beside the number
INVOICE_ID: Final = "tenantry_invoice_id"
SHA256: Final = "tenantry_sha256"
_MARKS: Final = (TENANT, INVOICE_ID, SHA256)
_TOLD_CHARACTERS_MAX: Final = 80  # of what somebody else may have written


@dataclass(frozen=True, slots=True)
class Wanted:
    """The invoice that is looked for. `customers`: those at Stripe that it may be of; `since`: no
    earlier was it made there; `currency` and `total` in Stripe's words, None where nobody knows.
    """

    number: str
    marks: Mapping[str, str]
    customers: tuple[str, ...]
    since: datetime | None
    currency: str | None
    total: int | None

    @classmethod
    def of_push(cls, delivery: Delivery, invoice: StripeInvoice, since: datetime) -> Self:
        customers = _customers(delivery, delivery.customers)
        return cls(
            invoice.number, _marks(delivery), customers, since, invoice.currency, invoice.total
        )

    @classmethod
    def of_void(cls, delivery: Delivery, number: str, since: datetime | None) -> Self:
        """Of the customers that it was pushed to, or where that is not known of the tenant's."""
        customers = delivery.customers or _customers(delivery, ())
        own = delivery.invoice
        currency = total = None
        if own is not None:
            currency = own.currency.lower()
            try:
                total = collected(own.due, own.currency)
            except BadInvoice:
                total = None  # Stripe could not hold it, so that it has none
        return cls(number, _marks(delivery), customers, since, currency, total)

    def difference(self, remote: Any) -> str | None:
        """What tells one of that number at Stripe from this; None: it is this. One from before
        there were marks is told by whose it is, what it says and when it was made.
        """
        found = metadata(remote)
        if TENANT in found:
            if all(found.get(name) == self.marks.get(name) for name in _MARKS):
                return None
            other = f"{found.get(INVOICE_ID, 'another')} of {found[TENANT]}"
            return f"for another invoice, {other[:_TOLD_CHARACTERS_MAX]} ({remote.id})"
        if not self.customers:
            return f"for {remote.customer} ({remote.id}), and whose it became is not known"
        if remote.customer not in self.customers:
            return f"for another customer, {remote.customer}"
        told, wanted = f"{remote.total} {remote.currency}", f"{self.total} {self.currency}"
        if remote.status == "draft":  # may be half made
            told, wanted = str(remote.currency), str(self.currency)
        if told != wanted:
            return f"for something else: {remote.id} says {told}, not {wanted}"
        if self.since is not None and remote.created < self.since.timestamp():
            return f"from before it was issued here ({remote.id})"
        return None


def _marks(delivery: Delivery) -> dict[str, str]:
    marks: dict[str, str] = {TENANT: delivery.tenant_id}
    if delivery.invoice is not None:
        marks |= {INVOICE_ID: delivery.invoice.invoice_id, SHA256: delivery.invoice.sha256}
    return marks


def _customers(delivery: Delivery, before: tuple[str, ...]) -> tuple[str, ...]:
    """The tenant's own now, and those of before."""
    now = () if delivery.customer_id is None else (delivery.customer_id,)
    return now + tuple(each for each in before if each not in now)
