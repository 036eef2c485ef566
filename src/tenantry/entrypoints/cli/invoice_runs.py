"""`tenantry invoices runs`: what came of the periods that were due."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, get_args

import click

from tenantry.application.billing import Billing
from tenantry.application.pages import PAGE
from tenantry.bootstrap.commands.billing import run_with_billing
from tenantry.domain.ids import TenantId
from tenantry.entrypoints.cli.cut import say_cut
from tenantry.entrypoints.cli.output import as_json, print_json, print_table
from tenantry.entrypoints.cli.values import DAY, NAMED
from tenantry.ports.billing import InvoiceBook, Outcome
from tenantry.ports.control import ControlPlane

_COLUMNS = ("name", "period_start", "outcome", "detail", "tried_at")


@click.command()
@click.option("--tenant", type=NAMED, help="Of this one alone.")
@click.option("--outcome", type=click.Choice(get_args(Outcome)), help="These alone.")
@click.option(
    "--since",
    type=DAY,
    help="Periods that begin on this day or later, in the tenant's zone.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="At most so many, the latest periods.",
)
@as_json
def runs(
    tenant: str | None,
    outcome: Outcome | None,
    since: datetime | None,
    limit: int,
    json_output: bool,
) -> None:
    """Show what came of the periods that were due, and why one could not be invoiced.

    Example: `tenantry invoices runs --outcome trouble`
    """
    first_day = None if since is None else since.date()

    async def work(control: ControlPlane, billing: Billing) -> tuple[list[Mapping[str, Any]], bool]:
        of = None if tenant is None else (await control.get_tenant(tenant)).id
        return await listed(billing.book, of, outcome, first_day, limit)

    rows, more = run_with_billing(work)
    if json_output:
        print_json(rows)
    else:
        print_table(
            ("tenant", "period from", "outcome", "detail", "tried"),
            (tuple(row[name] for name in _COLUMNS) for row in rows),
        )
    if more:
        say_cut(len(rows), "see --limit, --since, --tenant and --outcome")


async def listed(
    book: InvoiceBook,
    tenant_id: TenantId | None,
    outcome: Outcome | None,
    since: date | None,
    limit: int,
    *,
    page: int = PAGE,
) -> tuple[list[Mapping[str, Any]], bool]:
    """The latest `limit` runs, asked for `page` at a time; and whether there are more."""
    found: list[Mapping[str, Any]] = []
    after: tuple[datetime, str] | None = None
    while len(found) <= limit:
        wanted = min(page, limit + 1 - len(found))
        some = await book.runs(tenant_id, outcome, wanted, after=after, since=since)
        found += some
        if len(some) < wanted:
            break
        after = (some[-1]["period_start"], str(some[-1]["tenant_id"]))
    return found[:limit], len(found) > limit
