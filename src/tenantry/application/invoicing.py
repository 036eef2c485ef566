"""The draft of a tenant's invoice for the billing period of an instant."""

from __future__ import annotations

from datetime import datetime

from tenantry.domain.invoice import DraftInvoice, draft
from tenantry.domain.period import billing_period
from tenantry.domain.tenant import Principal
from tenantry.domain.usage_line import UsageLine
from tenantry.ports.ledger import TenantLedger


async def draft_invoice(
    ledger: TenantLedger, principal: Principal, instant: datetime, watermark: datetime
) -> DraftInvoice:
    """Reads the customer's book of that period; writes nothing."""
    tenant = principal.tenant
    period = billing_period(instant, tenant.zone, tenant.anchor_day)
    rows = await ledger.invoice_lines(principal, period.start, period.end)
    usage = [UsageLine(r.model, r.token_class, r.quantity, r.charge) for r in rows]
    return draft(tenant, period, watermark, usage)
