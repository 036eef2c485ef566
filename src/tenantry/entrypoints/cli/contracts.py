"""`tenantry tenants contract|plan|credit`: what a tenant has agreed to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import click

from tenantry.application.agreements import amend
from tenantry.application.billing import Billing
from tenantry.application.pages import PAGE, to_the_end
from tenantry.bootstrap.commands.billing import run_with_billing
from tenantry.domain import money
from tenantry.domain.remark import check_remark
from tenantry.entrypoints.cli.output import as_json, print_json, print_table, say
from tenantry.entrypoints.cli.values import DAY, INSTANT, NAMED, NO_OPTION
from tenantry.ports.billing import CREDIT_FIELDS
from tenantry.ports.control import ControlPlane

NONE = "none"
_CLEARED = ("tax_id", "email", "tax_starts_on", "ends_on")  # what a contract can be without


class _DayOrNone(click.ParamType[str]):
    """A civil day, or `none`."""

    name = "YYYY-MM-DD or none"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        return NONE if value == NONE else DAY.convert(value, param, ctx).date().isoformat()


@click.command()
@click.argument("tenant", type=NAMED)
@click.option("--legal-name", type=NAMED, help="Whom the invoice is to.")
@click.option(
    "--address", type=NAMED, multiple=True, help="A line of the address; repeat in order."
)
@click.option("--tax-id", type=NAMED, help="`none` takes it out.")
@click.option("--email", type=NAMED, help="`none` takes it out.")
@click.option("--currency", type=NAMED, help="Of the invoices; stays once one is final.")
@click.option("--tax-rate", type=NAMED, help="A fraction: 0.0825 is 8.25 %.")
@click.option("--tax-label", type=NAMED, help="As it stands on the invoice.")
@click.option(
    "--tax-starts-on",
    type=_DayOrNone(),
    help="First day of this tax: periods that end before it keep the tax of before. Entered again"
    " with another day, it is moved there; `none`: all periods have it.",
)
@click.option("--payment-days", type=click.IntRange(0, 365), help="From issue to due.")
@click.option(
    "--ends-on", type=_DayOrNone(), help="First day without a contract; `none`: it has no end."
)
@as_json
def contract(tenant: str, json_output: bool, **given: Any) -> None:
    """Enter a contract's next version, or show it where nothing is named.

    Example: `tenantry tenants contract acme --legal-name "Acme Corp." --address "1 Main St"`
    """
    changes = {name: value for name, value in given.items() if value not in (None, ())}
    changes |= {name: None for name in _CLEARED if changes.get(name) == NONE}
    if "address" in changes:
        changes["address"] = list(changes["address"])

    async def work(control: ControlPlane, billing: Billing) -> list[Mapping[str, Any]]:
        found = await control.get_tenant(tenant)
        if changes:
            await amend(billing.contracts, found, changes)
        return await to_the_end(
            lambda after: billing.contracts.contracts(found.id, PAGE, after=after),
            lambda row: int(row["version"]),
        )

    versions = run_with_billing(work)
    if json_output:
        print_json(versions)
    elif not versions:
        say(f"{tenant} has no contract yet")
    else:
        now = versions[0]
        rows = {**now, **now["customer"], "address": ", ".join(now["customer"]["address"])}
        rows["tax_schedule"] = "; ".join(map(_tax_step, now["tax_schedule"]))
        del rows["customer"]
        print_table(("field", "value"), rows.items())


def _tax_step(step: Mapping[str, Any]) -> str:
    since = "" if step["starts_on"] is None else f"from {step['starts_on']} on "
    return f"{since}{step['rate']} {step['label']}"


@click.command()
@click.argument("tenant", type=NAMED)
@click.argument("new_plan", metavar="[PLAN]", required=False)
@click.option("--at", type=INSTANT, help="UTC; from this instant on. Default: now.")
@as_json
def plan(tenant: str, new_plan: str | None, at: datetime | None, json_output: bool) -> None:
    """Change a tenant's plan, now or at an instant; without PLAN, show its changes.

    Example: `tenantry tenants plan acme scale --at 2026-12-01T05:00:00Z`
    """
    if new_plan is None and at is not None:
        raise click.UsageError("--at belongs to a plan")

    async def work(control: ControlPlane, billing: Billing) -> list[Mapping[str, Any]]:
        found = await control.get_tenant(tenant)
        if new_plan is not None:
            when = None if at is None else at.replace(tzinfo=UTC)
            await billing.contracts.change_plan(found.id, new_plan, when)
        return await to_the_end(
            lambda after: billing.contracts.plan_changes(found.id, PAGE, after=after),
            lambda row: (row["effective_at"], row["entered_at"]),
        )

    changes = run_with_billing(work)
    if json_output:
        print_json(changes)
    else:
        names = ("plan", "effective_at", "applied_at", "entered_at")
        print_table(names, (tuple(row[name] for name in names) for row in changes))


@click.command(context_settings={"ignore_unknown_options": True})  # -5 is an amount
@click.argument("tenant", type=NO_OPTION)
@click.argument("amount", type=NO_OPTION, required=False)
@click.option("--note", default="", help="Why; kept with the entry.")
@as_json
def credit(tenant: str, amount: str | None, note: str, json_output: bool) -> None:
    """Grant a prepaid credit in the contract's currency; without AMOUNT, show its entries.

    An AMOUNT with a minus takes back what is left of it.

    Example: `tenantry tenants credit acme 500.00 --note "paid ahead, PO 4711"`
    """
    try:
        granted = None if amount is None else money.amount_from(amount)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="AMOUNT") from None
    try:
        check_remark(note)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--note") from None

    async def work(
        control: ControlPlane, billing: Billing
    ) -> tuple[list[Mapping[str, Any]], Mapping[str, Decimal]]:
        found = await control.get_tenant(tenant)
        if granted is not None:
            await billing.contracts.grant_credit(found.id, granted, note)
        entries = await to_the_end(
            lambda after: billing.contracts.credits(found.id, PAGE, after=after),
            lambda row: (row["posted_at"], row["posting_id"], int(row["line"])),
        )
        return entries, await billing.contracts.credit_left(found.id)

    entries, left = run_with_billing(work)
    if json_output:
        print_json([{name: row[name] for name in CREDIT_FIELDS} for row in entries])
        return
    print_table(CREDIT_FIELDS, (tuple(row[name] for name in CREDIT_FIELDS) for row in entries))
    for currency, rest in left.items():
        say(f"left: {money.plain(rest)} {currency}")
