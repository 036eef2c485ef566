"""`tenantry budgets …`: caps of a tenant or of one of its API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from tenantry.application.pacing import Outlook
from tenantry.bootstrap import run_with_control, run_with_outlooks
from tenantry.domain.tenant import Tenant
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
    """Show a tenant's budgets, what is left of them, and where their periods will end.

    Example: `tenantry budgets show acme`
    """

    async def work(
        control: ControlPlane, found: Tenant, outlooks: Sequence[Outlook]
    ) -> list[dict[str, Any]]:
        by_key = {_key(outlook): outlook for outlook in outlooks}
        rows = [_plan_row(o) for o in outlooks if o.use.subject == "plan"]
        for budget in await control.list_budgets(found.id):
            rows.append({**budget, **_forecast(by_key.get(_key_of(budget)))})
        return rows

    rows = run_with_outlooks(tenant, work)
    if json_output:
        print_json(rows)
    elif rows:
        print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))
    else:
        click.echo("no budget but the plan's, whose period begins with the next request")


def _plan_row(outlook: Outlook) -> dict[str, Any]:
    use = outlook.use
    left = None if use.limit is None else max(use.limit - use.settled - use.reserved, Decimal(0))
    return {
        "scope": "plan",
        "scope_id": "",
        "period": use.period,
        "basis": use.basis,
        "limit": use.limit,
        "hard": use.hard,
        "settled": use.settled,
        "reserved": use.reserved,
        "remaining": left,
        "resets_at": use.ends_at,
        **_forecast(outlook),
    }


def _forecast(outlook: Outlook | None) -> dict[str, Any]:
    found = None if outlook is None else outlook.forecast
    return {
        "forecast": None if found is None else found.expected,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "passes_at": None if found is None else found.passes_at,
    }


def _key(outlook: Outlook) -> tuple[str, str, str]:
    return outlook.use.subject, outlook.use.period, outlook.use.basis


def _key_of(budget: Mapping[str, Any]) -> tuple[str, str, str]:
    scope, scope_id = budget["scope"], budget["scope_id"]
    subject = f"{scope}:{scope_id}" if scope_id else scope
    return subject, budget["period"], budget["basis"]


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter("must be a decimal number of at least 0", param_hint="--limit")
    return amount
