"""`tenantry invoices …`: the draft of a period."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import click

from tenantry.application.invoicing import draft_invoice
from tenantry.bootstrap import run_with_ledger
from tenantry.domain.invoice import DraftInvoice
from tenantry.domain.tenant import Principal
from tenantry.entrypoints.cli.output import as_json, print_json, print_table
from tenantry.ports.ledger import TenantLedger


@click.group()
def invoices() -> None:
    """Draft a tenant's invoice.

    Example: `tenantry invoices draft acme`
    """


@invoices.command()
@click.argument("tenant")
@click.option(
    "--in",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="A day of the period, in the tenant's zone; default: today.",
)
@as_json
def draft(tenant: str, day: datetime | None, json_output: bool) -> None:
    """Draft the invoice of a billing period; nothing is written.

    Example: `tenantry invoices draft acme --json`
    """

    async def work(ledger: TenantLedger, principal: Principal) -> DraftInvoice:
        now = datetime.now(UTC)
        return await draft_invoice(ledger, principal, _instant(day, principal) or now, now)

    invoice = run_with_ledger(tenant, work)
    if json_output:
        print_json({**invoice.to_json(), "sha256": invoice.sha256()})
    else:
        print_invoice(invoice)


def _instant(day: date | None, principal: Principal) -> datetime | None:
    """Noon of a civil day of the tenant: no zone has its midnight there."""
    if day is None:
        return None
    return datetime.combine(day, time(12), ZoneInfo(principal.tenant.zone)).astimezone(UTC)


def print_invoice(invoice: DraftInvoice) -> None:
    period = f"{invoice.period.start:%Y-%m-%d} to {invoice.period.end:%Y-%m-%d}"
    rows: list[tuple[object, ...]] = [
        (line.description, line.quantity, line.charge, f"{line.amount:,} {invoice.currency}")
        for line in invoice.lines
    ]
    rows.append(("Total", None, None, f"{invoice.total:,} {invoice.currency}"))
    print_table(
        ("line", "quantity", "list charge", "amount"),
        rows,
        title=f"Draft for {invoice.tenant_name}, {period}",
    )
