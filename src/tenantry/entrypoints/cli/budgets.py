"""`tenantry budgets …`: caps of a tenant or of one of its API keys."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from tenantry.bootstrap import run_with_control
from tenantry.entrypoints.cli.output import as_json, print_json, print_table
from tenantry.ports.control import Budget, ControlPlane


@click.group()
def budgets() -> None:
    """Set and show budgets.

    Example: `tenantry budgets set acme --limit 25 --period month`
    """


@budgets.command(name="set")
@click.argument("tenant")
@click.option("--limit", required=True, help="In the contract's currency; 0 blocks all.")
@click.option("--api-key", help="Cap this API key instead of the whole tenant.")
@click.option("--period", type=click.Choice(["day", "month", "total"]), default="month")
@click.option("--basis", type=click.Choice(["charge", "cost"]), default="charge")
@click.option("--soft", is_flag=True, help="Admit and alert instead of refusing.")
def set_(tenant: str, limit: str, api_key: str | None, period: Any, basis: Any, soft: bool) -> None:
    """Set a budget; it holds from the next request on.

    Example: `tenantry budgets set acme --limit 25 --period month`
    """
    amount = _amount(limit)

    async def work(control: ControlPlane) -> None:
        owner = await control.get_tenant(tenant)
        await control.set_budget(
            Budget(
                tenant_id=owner.id,
                scope="api_key" if api_key else "tenant",
                scope_id=api_key or owner.id,
                period=period,
                basis=basis,
                limit=amount,
                hard=not soft,
            )
        )

    run_with_control(work)
    click.echo(f"budget of {api_key or tenant} is {limit} a {period}")


@budgets.command()
@click.argument("tenant")
@as_json
def show(tenant: str, json_output: bool) -> None:
    """Show a tenant's budgets and what is left of them.

    Example: `tenantry budgets show acme`
    """

    async def work(control: ControlPlane) -> list[Mapping[str, Any]]:
        return await control.list_budgets((await control.get_tenant(tenant)).id)

    rows = run_with_control(work)
    if json_output:
        print_json(rows)
    elif rows:
        print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))
    else:
        click.echo("no budgets but the plan's")


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter("must be a decimal number of at least 0", param_hint="--limit")
    return amount
