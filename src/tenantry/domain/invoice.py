"""A draft invoice: a pure function of ledger lines, period and plan.

Each line is rounded once, half up, to the currency's minor unit; nothing else is ever rounded.
The draft's hash is over its canonical JSON (sorted keys, no white space, decimals as plain text).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tenantry.domain import money
from tenantry.domain.billing import StatementLine, statement
from tenantry.domain.contract import Contract, terms_of
from tenantry.domain.period import Span
from tenantry.domain.proration import civil_days
from tenantry.domain.tenant import Tenant
from tenantry.domain.usage_line import UsageLine


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    kind: str  # a `LineKind`
    description: str
    model: str | None
    token_class: str | None
    quantity: int
    charge: Decimal  # unrounded; of usage, as the ledger sums it
    amount: Decimal  # the charge rounded once, half up


@dataclass(frozen=True, slots=True)
class DraftInvoice:
    tenant_id: str
    tenant_name: str
    plan: str
    currency: str
    zone: str
    period: Span
    watermark: datetime  # the ledger was read up to here
    lines: tuple[InvoiceLine, ...]

    @property
    def total(self) -> Decimal:
        amounts = money.total(line.amount for line in self.lines)
        return money.to_currency(amounts, self.currency)

    def to_json(self) -> dict[str, Any]:
        """What a tenant sees; holds no provider cost and no markup."""
        return {
            "status": "draft",
            "tenant": {"id": self.tenant_id, "name": self.tenant_name},
            "plan": self.plan,
            "currency": self.currency,
            "zone": self.zone,
            "period": {"start": _instant(self.period.start), "end": _instant(self.period.end)},
            "watermark": _instant(self.watermark),
            "lines": [_line_json(line) for line in self.lines],
            "total": format(self.total, "f"),
        }

    def sha256(self) -> str:
        """Over the canonical JSON without its watermark: equal ledgers give equal hashes."""
        body = {key: value for key, value in self.to_json().items() if key != "watermark"}
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def draft(
    tenant: Tenant, period: Span, watermark: datetime, usage: Sequence[UsageLine]
) -> DraftInvoice:
    """The lines of a period under the tenant's plan as it stands, in a stable order.

    Before tax and credit, which a contract has and a plan has not.
    """
    terms = terms_of(tenant.plan, civil_days(period, tenant.zone).start)
    contract = Contract(
        tenant.zone, (terms,), currency=tenant.currency, usage_currency=tenant.currency
    )
    lines = tuple(map(_invoice_line, statement(contract, period, usage).lines))
    return DraftInvoice(
        tenant.id,
        tenant.name,
        tenant.plan.name,
        tenant.currency,
        tenant.zone,
        period,
        watermark,
        lines,
    )


def _invoice_line(line: StatementLine) -> InvoiceLine:
    exact = line.exact  # under one plan for the whole period it is always a decimal
    return InvoiceLine(
        line.kind,
        line.description,
        line.model,
        line.token_class,
        line.quantity,
        money.EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator)),
        line.amount,
    )


def _instant(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _line_json(line: InvoiceLine) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "description": line.description,
        "model": line.model,
        "token_class": line.token_class,
        "quantity": line.quantity,
        "charge": money.plain(line.charge),
        "amount": format(line.amount, "f"),
    }
