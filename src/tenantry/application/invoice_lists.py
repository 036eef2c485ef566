"""What is listed of a tenant's invoices: drafts of the periods that are not closed, then final
documents, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tenantry.application.invoicing import draft_from, shown
from tenantry.domain.errors import BadRequest, Conflict, NotFound
from tenantry.domain.ids import TenantId
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
from tenantry.domain.period import Span
from tenantry.domain.tenant import Tenant
from tenantry.ports.billing import InvoiceBook, TenantInvoices

DRAFTS_MAX = 3  # periods: the running one and those before it, beside the first that is open
FREED_MAX = 12  # periods that voids freed, from the oldest on; each draft is read from the ledger
_HALF_A_DAY = timedelta(hours=12)  # more than two copies of a zone's rules can be apart


async def list_invoices(
    invoices: TenantInvoices,
    tenant: Tenant,
    now: datetime,
    issuer: Issuer | None,
    *,
    before: str | None = None,
    limit: int = 100,
) -> list[Mapping[str, Any]]:
    """Heads. Drafts stand on the first page; one that cannot be made says why in `trouble`.

    BadRequest where there is no invoice `before`.
    """
    found: list[Mapping[str, Any]] = []
    if before is not None:
        await _check_cursor(invoices, tenant, before)
    else:
        latest, freed = await _open_periods(invoices, tenant, now)
        for period in (*latest, *reversed(freed[:FREED_MAX])):
            found.append(await _draft_head(invoices, tenant, period, now, issuer))
    rows = await invoices.documents(tenant.id, before=before, limit=limit)
    return found + [_final_head(row, tenant.zone) for row in rows]


async def _check_cursor(invoices: TenantInvoices, tenant: Tenant, number: str) -> None:
    try:
        await invoices.document(tenant.id, number)
    except NotFound:
        raise BadRequest("`cursor` is not one that this list returned.") from None


async def get_invoice(
    invoices: TenantInvoices, tenant: Tenant, number: str, now: datetime, issuer: Issuer | None
) -> Document:
    """One document with its lines, a draft by `draft-<day>`. Raises `NotFound`, `Conflict`."""
    if not number.startswith(DRAFT):
        return shown(await invoices.document(tenant.id, number))
    latest, freed = await _open_periods(invoices, tenant, now)
    for period in (*latest, *freed):
        if number == draft_number(period, tenant.zone):
            made = draft_from(await invoices.read(tenant.id, period, now), issuer)
            return {**made, "sha256": content_sha256(made)}
    raise NotFound("There is no such invoice.")


async def oldest_open(invoices: TenantInvoices, tenant_id: TenantId) -> Span:
    """The period to make final next: one whose invoice was voided comes before all others."""
    freed = await invoices.freed_periods(tenant_id)
    return freed[0] if freed else await invoices.next_period(tenant_id)


async def period_of(invoices: TenantInvoices | InvoiceBook, tenant: Tenant, day: date) -> Span:
    """The billing period of a civil day of the tenant. Raises `NotFound`."""
    try:
        at = noon(day, tenant.zone)
        return await _period_at(invoices, tenant, at, await invoices.next_period(tenant.id))
    except (OverflowError, ValueError):
        raise NotFound("There is no billing period of that day.") from None


def noon(day: date, zone: str) -> datetime:
    """An instant within a civil day: no zone has its midnight there."""
    return datetime.combine(day, time(12), ZoneInfo(zone)).astimezone(UTC)


async def _open_periods(
    invoices: TenantInvoices, tenant: Tenant, now: datetime
) -> tuple[list[Span], list[Span]]:
    """From the running one back, and in any case the first that is not closed; and all that voids
    freed, oldest first."""
    first = await invoices.next_period(tenant.id)
    found, at = list[Span](), now
    while len(found) < DRAFTS_MAX and at >= first.start:
        found.append(await _period_at(invoices, tenant, at, first))
        at = found[-1].start - _HALF_A_DAY
    if found and found[-1].start > first.start:
        found.append(first)
    return found, await invoices.freed_periods(tenant.id)


async def _period_at(
    invoices: TenantInvoices | InvoiceBook, tenant: Tenant, at: datetime, following: Span
) -> Span:
    """As the database divides time; but what is to be invoiced next is known, and what comes after
    it begins where it ends, also where the zone's rules have changed since."""
    if at in following:
        return following
    found = await invoices.period_at(tenant.id, at)
    if abs(found.start - following.end) < _HALF_A_DAY:
        return Span(following.end, found.end)
    return found


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
