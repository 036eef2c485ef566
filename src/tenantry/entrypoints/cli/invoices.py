"""`tenantry invoices …`: draft, finalise, void, credit, show, export."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from tenantry.adapters.clock import SystemClock
from tenantry.application.billing import Billing
from tenantry.application.invoice_lists import (
    get_invoice,
    list_invoices,
    oldest_open,
    period_of,
)
from tenantry.application.invoice_run import Mode, RunTally, run_due
from tenantry.application.invoicing import (
    Regenerated,
    draft_from,
    finalise_invoice,
    issue_credit_note,
    regenerate,
    store_for_review,
    void_invoice,
)
from tenantry.application.pages import PAGE, to_the_end
from tenantry.bootstrap.billing import issuer_of
from tenantry.bootstrap.commands.billing import run_with_billing
from tenantry.bootstrap.deployment import settings
from tenantry.domain import money
from tenantry.domain.billing import LineKind
from tenantry.domain.invoice import DRAFT, Document, content_sha256
from tenantry.domain.invoice_parties import tax_words, taxes_of
from tenantry.domain.period import Span
from tenantry.domain.tenant import Tenant
from tenantry.entrypoints.cli.invoice_export import (
    FORMATS,
    OUTPUT,
    check_screen,
    exported,
    write_out,
)
from tenantry.entrypoints.cli.invoice_numbers import numbers
from tenantry.entrypoints.cli.invoice_runs import runs
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import DAY, NAMED
from tenantry.ports.billing import Finalised
from tenantry.ports.control import ControlPlane

_IN = click.option(
    "--in",
    "day",
    type=DAY,
    help="A day of the period, in the tenant's zone.",
)


@click.group()
def invoices() -> None:
    """Draft, finalise, void, credit, show and export invoices.

    Example: `tenantry invoices draft acme`
    """


invoices.add_command(numbers)
invoices.add_command(runs)


@invoices.command()
@click.argument("tenant", type=NAMED)
@_IN
@click.option("--store", is_flag=True, help="Store it for review; the period must be over.")
@as_json
def draft(tenant: str, day: datetime | None, store: bool, json_output: bool) -> None:
    """Draft the invoice of a billing period, by default the running one; nothing is final by it.

    Example: `tenantry invoices draft acme --json`
    """

    async def work(control: ControlPlane, billing: Billing) -> Document | None:
        found = await control.get_tenant(tenant)
        if store:
            period = await _period(billing, found, day)
            return await store_for_review(billing.book, billing.issuer, found.id, period)
        now = await billing.book.now()
        if day is None:
            period = await billing.invoices.period_at(found.id, now)
        else:
            period = await period_of(billing.book, found, day)
        return draft_from(await billing.invoices.read(found.id, period, now), billing.issuer)

    made = run_with_billing(work)
    if made is None:
        say("nothing was used and nothing is owed")
    elif json_output:
        print_json({**made, "sha256": content_sha256(made)})
    else:
        print_invoice(made)
        if store:
            say(f"stored for review; approve it with --sha256 {content_sha256(made)}")


@invoices.command(name="list")
@click.argument("tenant", type=NAMED)
@as_json
def list_(tenant: str, json_output: bool) -> None:
    """List a tenant's invoices: drafts of open periods, then final ones, newest first.

    Example: `tenantry invoices list acme`
    """

    async def work(control: ControlPlane, billing: Billing) -> list[Mapping[str, Any]]:
        found = await control.get_tenant(tenant)
        now = await billing.book.now()

        async def page(before: str | None) -> list[Mapping[str, Any]]:
            if before is not None and before.startswith(DRAFT):
                return []  # drafts come first, and there was nothing after them
            book, issuer = billing.invoices, billing.issuer
            return await list_invoices(book, found, now, issuer, before=before, limit=PAGE)

        return await to_the_end(page, lambda row: str(row["number"]))

    rows = run_with_billing(work)
    if json_output:
        print_json(rows)
    else:
        print_table(
            ("number", "kind", "status", "period", "total", "due", "currency", "trouble"),
            (
                (
                    row["number"],
                    row["kind"],
                    row["status"],
                    row["period"]["label"],
                    *(row.get(name) for name in ("total", "due", "currency", "trouble")),
                )
                for row in rows
            ),
        )


@invoices.command()
@click.argument("number")
@click.option("--tenant", type=NAMED, help="Whose; needed for a draft.")
@as_json
def show(number: str, tenant: str | None, json_output: bool) -> None:
    """Show one invoice by its number.

    Example: `tenantry invoices show INV-2026-000041`
    """
    if number.startswith(DRAFT) and tenant is None:
        raise click.UsageError("a draft is shown of a --tenant")
    body, _ = _document(number, tenant)
    if json_output:
        print_json(body)
    else:
        print_invoice(body)


@invoices.command()
@click.argument("tenant", type=NAMED)
@_IN
@click.option("--sha256", type=NAMED, help="The hash of the draft that was approved.")
@as_json
def finalise(tenant: str, day: datetime | None, sha256: str | None, json_output: bool) -> None:
    """Make the invoice of a period final, by default of the oldest that is not closed.

    Example: `tenantry invoices finalise acme --in 2026-11-30`
    """

    async def work(control: ControlPlane, billing: Billing) -> Finalised:
        found = await control.get_tenant(tenant)
        period = await _period(billing, found, day)
        return await finalise_invoice(
            billing.book, SystemClock(), billing.issuer, found.id, period, approved_sha256=sha256
        )

    done = run_with_billing(work)
    if json_output:
        print_json({**done.document, "number": done.number, "sha256": done.sha256})
    elif done.number is None:
        say("closed: nothing was used and nothing is owed")
    else:
        say(f"{done.number} is final: {done.document['due']} {done.document['currency']}")


@invoices.command()
@click.argument("number")
@click.option("--reason", required=True, help="Kept with it.")
def void(number: str, reason: str) -> None:
    """Void a final invoice or credit note; it keeps its number, its usage is free again.

    Example: `tenantry invoices void INV-2026-000041 --reason "wrong address"`
    """

    async def work(_: ControlPlane, billing: Billing) -> bool:
        return await void_invoice(billing.book, await billing.book.owner(number), number, reason)

    changed = run_with_billing(work)
    say(f"{number} is void" if changed else f"{number} was void before")


@invoices.command()
@click.argument("number")
@click.option(
    "--amount", type=NAMED, help="Before tax, in the invoice's currency; default: all that is left."
)
@click.option("--reason", required=True, help="Stands on the credit note.")
@as_json
def credit(number: str, amount: str | None, reason: str, json_output: bool) -> None:
    """Issue a credit note for a final invoice, with its share of the tax.

    Example: `tenantry invoices credit INV-2026-000041 --amount 20.00 --reason "outage"`
    """
    try:
        net = None if amount is None else money.amount_from(amount)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--amount") from None

    async def work(_: ControlPlane, billing: Billing) -> Finalised:
        owner = await billing.book.owner(number)
        return await issue_credit_note(
            billing.book, SystemClock(), billing.issuer, owner, number, net=net, reason=reason
        )

    done = run_with_billing(work)
    if json_output:
        print_json({**done.document, "sha256": done.sha256})
    else:
        total, returned = done.document["total"], Decimal(done.document["credit"])
        words = f", of which {returned} to the prepaid credit" if returned else ""
        say(f"{done.number} credits {number}: {total} {done.document['currency']}{words}")


@invoices.command()
@click.argument("number")
@click.option("--tenant", type=NAMED, help="Whose; needed for a draft.")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(FORMATS)),
    default="json",
    show_default=True,
    help="What is written.",
)
@click.option("--output", "-o", type=OUTPUT, help="A file; -: standard output, the default.")
def export(number: str, tenant: str | None, form: str, output: Path | None) -> None:
    """Write an invoice to a file or to standard output; JSON of a final one is its exact bytes.

    Example: `tenantry invoices export INV-2026-000041 --format csv -o november.csv`
    """
    if number.startswith(DRAFT) and tenant is None:
        raise click.UsageError("a draft is exported of a --tenant")
    check_screen(form, output)
    body, exact = _document(number, tenant)
    write_out(exported(form, body, exact), output)


@invoices.command()
@click.argument("number")
@as_json
def verify(number: str, json_output: bool) -> None:
    """Make a final invoice again from the ledger; exit 1 where a single byte differs.

    Example: `tenantry invoices verify INV-2026-000041`
    """

    async def work(_: ControlPlane, billing: Billing) -> Regenerated:
        owner = await billing.book.owner(number)
        stored = await billing.book.document(owner, number)
        return await regenerate(billing.book, owner, stored)

    again = run_with_billing(work)
    if json_output:
        print_json({"number": number, "sha256": again.stored_sha256, "same": again.same})
    if not again.same:
        raise click.ClickException(f"{number} does not come out again as it was finalised")
    if not json_output:
        say(f"{number} comes out the same: {again.stored_sha256}")


@invoices.command()
@click.option("--review", is_flag=True, help="Store drafts for review and finalise none.")
@as_json
def run(review: bool, json_output: bool) -> None:
    """Invoice every tenant whose period is over, now; the worker does it by itself.

    Example: `tenantry invoices run`
    """
    if issuer_of(settings()) is None:
        raise click.ClickException("no issuer is set: TENANTRY_INVOICE_ISSUER names its TOML file")

    mode: Mode = "review" if review else "automatic"

    async def work(_: ControlPlane, billing: Billing) -> tuple[RunTally, bool]:
        book = billing.book
        done = await run_due(book, SystemClock(), billing.issuer, mode=mode, again_s=0)
        return done, bool(await book.runs(None, "review", 1))

    tally, waits = run_with_billing(work)
    if json_output:
        print_json(tally)
    else:
        say(
            f"{tally.final} final, {tally.review} for review, {tally.nothing} with nothing to "
            f"invoice, {tally.trouble} in trouble"
        )
    if waits:
        say("drafts wait for approval: tenantry invoices runs --outcome review", err=True)
    if tally.trouble:
        raise click.ClickException("see `tenantry invoices runs --outcome trouble`")
    if tally.waiting:
        raise click.ClickException(
            f"{tally.waiting} wait for their usage to be rolled up: run this again"
        )


def _document(number: str, tenant: str | None) -> tuple[Document, bytes | None]:
    """A document as it stands now, and a final one's exact bytes."""

    async def work(control: ControlPlane, billing: Billing) -> tuple[Document, bytes | None]:
        name = tenant or await billing.book.owner(number)
        found = await control.get_tenant(name)
        now = await billing.book.now()
        body = await get_invoice(billing.invoices, found, number, now, billing.issuer)
        if number.startswith(DRAFT):
            return body, None
        return body, (await billing.invoices.document(found.id, number)).document

    return run_with_billing(work)


async def _period(billing: Billing, tenant: Tenant, day: date | None) -> Span:
    if day is None:
        return await oldest_open(billing.book, tenant.id)
    return await period_of(billing.book, tenant, day)


def print_invoice(body: Mapping[str, Any]) -> None:
    """The lines that the subtotal is the sum of, and below it what lifts them to the minimum."""
    currency = body["currency"]
    lines = [line for line in body["lines"] if line["kind"] != LineKind.MINIMUM]
    lifts = [line["description"] for line in body["lines"] if line["kind"] == LineKind.MINIMUM]
    rows: list[tuple[object, ...]] = [
        (
            line["description"],
            line["quantity"],
            line["unit_price"],
            line["charge"],
            f"{Decimal(line['amount']):,} {currency}",
        )
        for line in lines
    ]
    sums = [("Subtotal", body["subtotal"])]
    sums += [(lifts[0] if lifts else "Up to the minimum", body["true_up"])]
    sums += [(tax_words(tax), tax["amount"]) for tax in taxes_of(body)]
    sums += [("Total", body["total"])]
    sums += [("Prepaid credit", body["credit"]), ("Due", body["due"])]
    shown = {"Subtotal", "Total", "Due"}
    rows += [
        (name, None, None, None, f"{Decimal(amount):,} {currency}")
        for name, amount in sums
        if name in shown or Decimal(amount)
    ]
    print_table(
        ("line", "quantity", "per 1,000,000", "charge", "amount"),
        rows,
        title=f"{body['number']} ({body['status']}) for {body['customer']['name']}, "
        f"{body['period']['label']}",
    )
