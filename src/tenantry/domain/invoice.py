"""A draft invoice: a pure function of ledger lines, period and plan.

Each line is rounded once, half up, to the currency's minor unit; nothing else is ever rounded.
The draft's hash is over its canonical JSON (sorted keys, no white space, decimals as plain text).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tenantry.domain import money
from tenantry.domain.period import Span
from tenantry.domain.tenant import Tenant


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What the ledger holds of one model and token class in a period."""

    model: str
    token_class: str
    quantity: int
    charge: Decimal  # unrounded


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    kind: str  # usage | fee
    description: str
    model: str | None
    token_class: str | None
    quantity: int
    charge: Decimal  # as the ledger sums it, unrounded
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
    """The plan's fee, then a line for each model and token class, in a stable order."""
    lines = []
    if tenant.plan.monthly_fee:
        fee = money.to_currency(tenant.plan.monthly_fee, tenant.currency)
        lines.append(
            InvoiceLine(
                "fee", f"Plan {tenant.plan.name}", None, None, 1, tenant.plan.monthly_fee, fee
            )
        )
    for row in sorted(usage, key=lambda u: (u.model, u.token_class, u.quantity, u.charge)):
        lines.append(
            InvoiceLine(
                "usage",
                words_of(row.model, row.token_class),
                row.model,
                row.token_class,
                row.quantity,
                row.charge,
                money.to_currency(row.charge, tenant.currency),
            )
        )
    return DraftInvoice(
        tenant.id,
        tenant.name,
        tenant.plan.name,
        tenant.currency,
        tenant.zone,
        period,
        watermark,
        tuple(lines),
    )


def words_of(model: str, token_class: str) -> str:
    """How a line of usage is called."""
    return f"{model}: {_CLASS_WORDS.get(token_class, token_class)}"


_CLASS_WORDS: Mapping[str, str] = {
    "uncached_in": "input tokens",
    "cache_read": "input tokens read from cache",
    "cache_write_5m": "input tokens written to cache (5 minutes)",
    "cache_write_1h": "input tokens written to cache (1 hour)",
    "out": "output tokens",
    "image": "images",
    "embedding": "embedded tokens",
    "rerank_units": "rerank queries",
    "guardrail_units": "guardrail text units",
}


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
