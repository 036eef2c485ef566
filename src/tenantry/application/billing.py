"""What invoicing works with, in one place: filled by the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.application.invoice_numbers import InvoiceNumbers
from tenantry.domain.party import Issuer
from tenantry.ports.billing import Contracts, InvoiceBook, TenantInvoices


@dataclass(frozen=True, slots=True)
class Billing:
    invoices: TenantInvoices  # as the tenant, inside its unit of work
    book: InvoiceBook  # as control
    contracts: Contracts
    issuer: Issuer | None  # None: drafts only
    numbers: InvoiceNumbers
