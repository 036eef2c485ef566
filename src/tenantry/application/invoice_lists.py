"""What is listed of a tenant's invoices: drafts of the periods that are not closed, then final
documents, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tenantry.application.invoicing import draft_from, shown
from tenantry.domain.errors import Conflict, NotFound
from tenantry.domain.invoice import (
    DRAFT,
    Document,
    content_sha256,
    draft_number,
    head,
    instant,
    period_json,
    text,
)
from tenantry.domain.party import Issuer
from tenantry.domain.period import Span, billing_period
from tenantry.domain.tenant import Tenant
from tenantry.ports.billing import InvoiceBook, TenantInvoices

DRAFTS_MAX = 3  # periods: the running one and those before it


async def list_invoices(
    invoices: TenantInvoices,
    tenant: Tenant,
    now: datetime,
    issuer: Issuer | None,
    *,
    before: str | None = None,
    limit: int = 100,
) -> list[Mapping[str, Any]]:
    """Heads. Drafts stand on the first page; one that cannot be made says why in `trouble`."""
    found: list[Mapping[str, Any]] = []
    if before is None:
        first = await invoices.next_period(tenant.id)
        for period in _open_periods(tenant, first, now):
            found.append(await _draft_head(invoices, tenant, period, now, issuer))
    rows = await invoices.documents(tenant.id, before=before, limit=limit)
    return found + [_final_head(row, tenant.zone) for row in rows]


async def get_invoice(
    invoices: TenantInvoices, tenant: Tenant, number: str, now: datetime, issuer: Issuer | None
) -> Document:
    """One document with its lines, a draft by `draft-<day>`. Raises `NotFound`, `Conflict`."""
    if not number.startswith(DRAFT):
        return shown(await invoices.document(tenant.id, number))
    period = _period_of(tenant, number)
    first = await invoices.next_period(tenant.id)
    if period not in _open_periods(tenant, first, now):
        raise NotFound("There is no such invoice.")
    made = draft_from(await invoices.read(tenant.id, period, now), issuer)
    return {**made, "sha256": content_sha256(made)}


async def period_of(invoices: TenantInvoices | InvoiceBook, tenant: Tenant, day: date) -> Span:
    """The billing period of a civil day of the tenant; the one that is to be invoiced next as the
    database has it. Raises `NotFound`."""
    try:
        at = noon(day, tenant.zone)
        found = billing_period(at, tenant.zone, tenant.anchor_day)
    except (OverflowError, ValueError):
        raise NotFound("There is no billing period of that day.") from None
    following = await invoices.next_period(tenant.id)
    return following if at in following else found


def noon(day: date, zone: str) -> datetime:
    """An instant within a civil day: no zone has its midnight there."""
    return datetime.combine(day, time(12), ZoneInfo(zone)).astimezone(UTC)


def _open_periods(tenant: Tenant, first: Span, now: datetime) -> Sequence[Span]:
    """From the running one back to the first that is not closed."""
    found = [billing_period(now, tenant.zone, tenant.anchor_day)]
    while len(found) < DRAFTS_MAX and found[-1].start > first.start:
        before = found[-1].start - timedelta(seconds=1)
        found.append(billing_period(before, tenant.zone, tenant.anchor_day))
    return [period for period in found if period.start >= first.start]


def _period_of(tenant: Tenant, number: str) -> Span:
    try:
        at = noon(date.fromisoformat(number.removeprefix(DRAFT)), tenant.zone)
        period = billing_period(at, tenant.zone, tenant.anchor_day)
    except (ValueError, OverflowError):
        raise NotFound("There is no such invoice.") from None
    if number != draft_number(period, tenant.zone):
        raise NotFound("There is no such invoice.")
    return period


async def _draft_head(
    invoices: TenantInvoices, tenant: Tenant, period: Span, now: datetime, issuer: Issuer | None
) -> Mapping[str, Any]:
    try:
        return head(draft_from(await invoices.read(tenant.id, period, now), issuer))
    except Conflict as refused:
        return {
            "number": draft_number(period, tenant.zone),
            "kind": "invoice",
            "status": "draft",
            "period": period_json(period, tenant.zone),
            "trouble": refused.message,
        }


def _final_head(row: Mapping[str, Any], zone: str) -> Document:
    amounts: dict[str, Decimal] = {name: row[name] for name in ("total", "credit", "due")}
    return {
        "number": row["number"],
        "kind": row["kind"],
        "status": row["status"],
        "issued_at": instant(row["issued_at"]),
        "due_at": instant(row["due_at"]),
        "period": period_json(Span(row["period_start"], row["period_end"]), zone),
        "currency": row["currency"],
        **{name: text(amount) for name, amount in amounts.items()},
        "sha256": row["sha256"],
        **({"credits": row["credits_number"]} if row["credits_number"] else {}),
    }
